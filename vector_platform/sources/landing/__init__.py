"""Landing: one reading of a source becomes rows of `raw/<source>`, all of them or none."""
