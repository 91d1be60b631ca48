"""Measurements: retrieval quality on golden queries, drift of the embedding distribution. Decides nothing."""
