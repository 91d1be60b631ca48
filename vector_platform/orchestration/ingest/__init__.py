"""Raw assets, and what lands files as they arrive."""
