"""Jobs and sensors of releases."""
