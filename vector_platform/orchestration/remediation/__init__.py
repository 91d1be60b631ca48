"""What answers failed checks: sensors that decide, the jobs they start, what those record."""
