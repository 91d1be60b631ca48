"""Verbs that run the platform: the pipeline, the demos, the embedded servers."""
