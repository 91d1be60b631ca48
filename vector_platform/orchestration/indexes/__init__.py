"""Index assets, their parity checks, and repair."""
