"""Measuring a generation that asks to be released. Judges nothing."""
