"""Strict consumers of the lake: plan, apply, verify, repair. Never reads sources or models."""
