"""What a failed check means and what to do about it. Measures nothing, starts nothing."""
