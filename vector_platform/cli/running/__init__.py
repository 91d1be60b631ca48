"""Verbs that start something: the whole pipeline, the UI, the demos, the embedded servers."""
