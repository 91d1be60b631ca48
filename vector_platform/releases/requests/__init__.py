"""Release requests: asking, collecting evidence, approving, releasing, going back."""
