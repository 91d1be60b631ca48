"""The live pointer: which generation readers see, and moving it."""
