"""What a model version is: where its weights are, what they hash to, its fingerprint."""
