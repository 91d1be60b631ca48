"""Verbs over what is measured: drift and its references, golden queries, quarantined documents."""
