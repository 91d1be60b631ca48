"""Model versions: embedding them, checking their canaries, making and retiring them."""
