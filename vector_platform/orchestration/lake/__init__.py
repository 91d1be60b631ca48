"""The jobs that care for the Delta tables."""
