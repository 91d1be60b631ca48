"""How texts become vectors: one file for each library that runs a model."""
