"""Tests of the readers and of landing."""
