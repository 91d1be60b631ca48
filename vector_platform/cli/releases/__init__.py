"""Verbs over releases and their requests."""
