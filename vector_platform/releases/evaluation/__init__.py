"""Measuring a generation that asks to be released, beside the live one. Judges nothing."""
