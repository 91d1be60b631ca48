"""Model versions that are another one and a matrix."""
