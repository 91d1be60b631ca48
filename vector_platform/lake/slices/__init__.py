"""Slices of documents, and those that are kept from readers."""
