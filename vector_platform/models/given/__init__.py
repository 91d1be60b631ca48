"""Model versions whose vectors are given: they come with the rows, and nothing is run for them."""
