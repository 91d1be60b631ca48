"""Rows of a database, read by one query that cannot write."""
