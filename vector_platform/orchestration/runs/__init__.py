"""Runs: starting them, knowing that their process lives, ending, retrying and reading them."""
