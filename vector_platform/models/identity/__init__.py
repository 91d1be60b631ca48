"""What a model version is: its weights, its fingerprint, and where its files are."""
