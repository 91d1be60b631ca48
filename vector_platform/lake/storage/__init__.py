"""Delta tables: opening, writing, caching, joining them. Knows no table of ours by name."""
