"""Verbs over what readers see: promoting, rolling back, and deciding release requests."""
