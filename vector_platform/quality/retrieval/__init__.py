"""How well a model finds what people judged relevant, two models compared, and the questions."""
