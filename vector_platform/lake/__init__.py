"""The lake: Delta tables, their contract, snapshots, changes. Knows no producer and no consumer."""
