"""vector_platform: searchable, provable vector indexes from a Delta Lake of embeddings.

`from vector_platform import Platform`, or `Scope, Searcher`, is for notebooks and scripts; nothing
is imported before.
What it is to a type checker stands in `__init__.pyi`.
"""

from importlib import import_module

__version__ = "0.1.0"


def __getattr__(name: str) -> object:
    """Import what a notebook asks for when it asks."""
    if name in ("Platform", "Scope", "Searcher"):
        return getattr(import_module("vector_platform.notebook"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
