"""Models: what a model version is, and how texts become vectors.

Belongs here: finding weights, fingerprints, tokenising, batching, inference backends, and the
driver that embeds what is missing. Does not belong here: tables (`lake`), chunking (`corpus`),
retrieval quality (`quality`). Only this room imports sentence_transformers, torch or openvino,
and only inside functions that need an inference: opening a model and reading its fingerprint
cost a hash of its files.
"""
