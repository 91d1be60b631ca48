"""Making model versions from those there are: fine-tuning, query adapters, alignment. Never serves."""
