"""Watching a generation after its release, and taking it back."""
