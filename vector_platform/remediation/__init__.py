"""What a failed check means and what to do about it: faults, diagnosis, decisions. Measures nothing, starts nothing."""
