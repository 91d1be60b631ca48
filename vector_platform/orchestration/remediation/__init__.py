"""What answers failed checks: sensors that decide, and the jobs that they start."""
