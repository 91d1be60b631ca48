"""Verbs over the indexes of a backend."""
