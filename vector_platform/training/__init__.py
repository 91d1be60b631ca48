"""Making model versions from those there are: tuned, adapted, aligned. Never serves."""
