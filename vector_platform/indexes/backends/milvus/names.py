"""How generations are called in Milvus.

Belongs here: pure functions between our names and Milvus', both ways. A name is all that ties a
collection to its generation.
"""

from __future__ import annotations

import re

from vector_platform.indexes.contract import GENERATION_NAME, Generation


def collection_name(generation: Generation) -> str:
    """Milvus collection of a generation: `documents_g0001`."""
    return f"{generation.index}_{generation.name}"


def collection_generation(index: str, collection: str) -> str | None:
    """Generation that a Milvus collection holds, or None when it is not of this index."""
    match = re.fullmatch(rf"{re.escape(index)}_({GENERATION_NAME})", collection)
    return match[1] if match else None


def collection_alias(index: str) -> str:
    """Milvus alias that follows the live pointer: `documents_live`."""
    return f"{index}_live"
