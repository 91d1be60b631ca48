"""What searches need of a namespace in memory: vectors, words, columns, and who may see what."""
