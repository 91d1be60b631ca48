"""Tests of the Dagster room: what fires, what does not, and what a run leaves behind."""
