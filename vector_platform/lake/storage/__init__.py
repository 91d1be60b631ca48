"""Delta tables and joins over them. Knows no table by name."""
