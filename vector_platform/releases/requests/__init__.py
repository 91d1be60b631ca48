"""Release requests: asking, approving, deciding, releasing, going back."""
