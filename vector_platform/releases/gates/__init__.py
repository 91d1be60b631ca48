"""What must hold before readers see a generation, judged from evidence alone."""
