"""Readers of outside systems: rows with lineage, landed in raw tables. Knows no model and no index."""
