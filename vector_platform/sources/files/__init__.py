"""Rows and documents of files: formats, conversions and their limits."""
