"""How well a model finds what people judged relevant, and comparing two models."""
