"""Slices of documents (by source, tenant, day), and those that a quarantine keeps from readers."""
