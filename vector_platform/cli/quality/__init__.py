"""Verbs over golden queries, drift and quarantine."""
