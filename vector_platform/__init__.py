"""vector_platform: searchable, provable vector indexes from a Delta Lake of embeddings."""

__version__ = "0.1.0"
