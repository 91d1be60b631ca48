"""Embedding models: registry, fingerprints, embedders. The only room that loads weights."""
