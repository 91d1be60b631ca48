"""Verbs over the indexes: status, plan, sync, verify, repair, rebuild, adopting, migrating."""
