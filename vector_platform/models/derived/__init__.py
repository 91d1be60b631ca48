"""Model versions that are another one and a matrix: over its queries, or over stored vectors."""
