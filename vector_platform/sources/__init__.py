"""Readers of outside systems: rows with lineage, landed in raw tables. No model, no index."""
