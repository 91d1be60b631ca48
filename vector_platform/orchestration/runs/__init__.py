"""Runs of Dagster: starting them, knowing that their process lives, retrying, reading them back."""
