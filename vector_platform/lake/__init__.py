"""What is true: Delta tables, what they must satisfy, and what may be derived from them.

Belongs here: one writer and one reader for each table, snapshots, changes, audits. Does not belong
here: who makes the rows, and who reads them; this room knows no other.
"""
