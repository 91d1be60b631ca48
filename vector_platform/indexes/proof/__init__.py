"""Proof that an index equals a snapshot of the lake: whole or in part, and what was found."""
