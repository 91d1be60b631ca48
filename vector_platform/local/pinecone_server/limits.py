"""Pinecone's published limits, and the checks of single values against them.

Belongs here: numbers, and small functions that accept a value or refuse it with Pinecone's status
and a message naming the field. Limits that depend on a price plan are not modelled. Source:
docs.pinecone.io, "Database limits", API version 2026-07.
"""

from __future__ import annotations

import math
import re
from typing import Any

import numpy as np
import orjson

from .errors import RequestRefusedError, invalid

MAX_REQUEST_BYTES = 2 * 2**20
MAX_METADATA_BYTES = 40 * 1024
MAX_TEXT_FIELD_BYTES = 100 * 1024
MAX_DIMENSION = 20_000
MAX_SPARSE_VALUES = 2048
MAX_RECORDS_PER_UPSERT = 1000
MAX_IDS_PER_REQUEST = 1000
MAX_TOP_K = 10_000
MAX_FETCH_LIMIT = 10_000
MAX_LIST_LIMIT = 100
MAX_SCORING_CLAUSES = 100
MAX_ALIASES_PER_INDEX = 1000
MAX_TAGS = 20
MAX_NAME_CHARS = 512

#: A dense vector counts as zero when no component reaches this size.
ZERO_VECTOR_THRESHOLD = 1e-8

_INDEX_NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,43}[a-z0-9])?")
_WHOLE = re.compile(r"-?[0-9]{1,18}")
_TAG_KEY = re.compile(r"[A-Za-z0-9_-]{1,80}")
_NUMBER_TYPES = {int, float}


def check_int(value: Any, name: str, low: int, high: int) -> int:
    """Accept a whole number in [low, high]; refuse anything else by name."""
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise invalid(f"'{name}' must be an integer between {low} and {high} (got {value!r}).")
    number: int = value
    return number


def query_int(value: str | None, name: str, default: int, low: int, high: int) -> int:
    """Read a whole number from a query string."""
    if value is None:
        return default
    return check_int(int(value) if _WHOLE.fullmatch(value) else value, name, low, high)


def check_id(value: Any, what: str = "_id") -> str:
    """Accept a record id: 1 to 512 ASCII characters, no NUL."""
    if not isinstance(value, str) or not 1 <= len(value) <= MAX_NAME_CHARS:
        raise invalid(f"{what} must be a string of 1 to {MAX_NAME_CHARS} characters")
    if not value.isascii() or "\0" in value:
        raise invalid(f"{what} {value[:40]!r} must hold ASCII characters only, and no NUL")
    return value


def check_ids(value: Any, what: str = "ids") -> list[str]:
    """Accept a list of 1 to 1000 record ids."""
    if not isinstance(value, list) or not 1 <= len(value) <= MAX_IDS_PER_REQUEST:
        count = len(value) if isinstance(value, list) else 0
        raise invalid(f"'{what}' must hold 1 to {MAX_IDS_PER_REQUEST} ids per request, got {count}")
    return [check_id(item, f"'{what}' entry") for item in value]


def check_index_name(value: Any) -> str:
    """Accept an index name: at most 45 lower-case letters, digits and inner hyphens."""
    if not isinstance(value, str) or not _INDEX_NAME.fullmatch(value):
        raise invalid(
            f"Name {value!r} is invalid: an index name has 1 to 45 lower-case letters, digits "
            "and hyphens, and starts and ends with a letter or digit."
        )
    return value


def check_tags(value: Any) -> dict[str, str]:
    """Accept index tags: at most 20, keys up to 80 characters, values up to 120."""
    if not isinstance(value, dict):
        raise invalid("'tags' must be an object of strings")
    for key, text in value.items():
        if not _TAG_KEY.fullmatch(key):
            raise invalid(f"Tag key {key!r} must be 1 to 80 letters, digits, '_' or '-'")
        if not isinstance(text, str) or len(text) > 120:
            raise invalid(f"Tag '{key}' must be a string of at most 120 characters")
    return value


def check_metadata(fields: dict[str, Any], *, documents: bool) -> dict[str, Any]:
    """Accept filterable fields: string, number, boolean or list of strings; 40 KB in all.

    Numbers become float64, as the service stores them.

    Args:
        fields: Field name to value.
        documents: True for the documents API, where names starting with `_` are reserved and a
            null is refused; the vectors API drops nulls instead.
    """
    kept: dict[str, Any] = {}
    for name, value in fields.items():
        if name.startswith("$") or (documents and name.startswith("_")):
            raise invalid(f"Field name '{name}' is reserved")
        if documents and not 1 <= len(name.encode()) <= 64:
            raise invalid(f"Field name '{name[:80]}' must be 1 to 64 bytes")
        if value is None and not documents:
            continue
        if isinstance(value, (str, bool)):
            kept[name] = value
        elif isinstance(value, (int, float)) and math.isfinite(value):
            kept[name] = float(value)
        elif isinstance(value, list) and all(isinstance(item, str) for item in value):
            kept[name] = value
        else:
            shown = orjson.dumps(value).decode()[:80]
            raise invalid(
                "Metadata value must be a string, number, boolean or list of strings, got "
                f"'{shown}' for field '{name}'"
            )
    size = len(orjson.dumps(kept))
    if size > MAX_METADATA_BYTES:
        raise invalid(
            f"Metadata size is {size} bytes, which exceeds the limit of "
            f"{MAX_METADATA_BYTES} bytes per vector"
        )
    return kept


def check_dense(
    value: Any, dimension: int, what: str, *, query: bool = False
) -> np.ndarray[Any, np.dtype[np.float32]]:
    """Accept a dense vector of the index's dimension.

    Args:
        value: The JSON array.
        dimension: What the index declares.
        what: How to name the value in a refusal.
        query: A query may be the zero vector; a stored vector may not.

    Returns:
        Shape `(dimension,)`, float32.
    """
    if not isinstance(value, list) or not set(map(type, value)) <= _NUMBER_TYPES:
        raise invalid(f"{what} must be an array of numbers")
    if len(value) != dimension:
        raise invalid(
            f"Vector dimension {len(value)} does not match the dimension of the index {dimension}"
        )
    with np.errstate(over="ignore"):
        vector = np.asarray(value, np.float32)
    if not np.isfinite(vector).all():
        raise invalid(f"{what} must hold finite float32 numbers")
    if not query and not (np.abs(vector) >= ZERO_VECTOR_THRESHOLD).any():
        raise invalid("Dense vectors must contain at least one non-zero value.")
    return vector


def check_sparse(value: Any, what: str) -> dict[str, list[Any]]:
    """Accept a sparse vector: equally long `indices` (unique, uint32) and `values`."""
    indices = value.get("indices") if isinstance(value, dict) else None
    values = value.get("values") if isinstance(value, dict) else None
    if (
        not isinstance(indices, list)
        or not isinstance(values, list)
        or len(indices) != len(values)
        or not 1 <= len(indices) <= MAX_SPARSE_VALUES
    ):
        raise invalid(
            f"{what} must hold equally long 'indices' and 'values' (1 to {MAX_SPARSE_VALUES})"
        )
    if set(map(type, indices)) != {int} or not all(0 <= i < 2**32 for i in indices):
        raise invalid(f"{what}: 'indices' must be whole numbers from 0 to 2^32-1")
    if len(set(indices)) != len(indices):
        raise invalid(f"{what}: 'indices' must be unique")
    if not set(map(type, values)) <= _NUMBER_TYPES or not all(map(math.isfinite, values)):
        raise invalid(f"{what}: 'values' must be finite numbers")
    return {"indices": indices, "values": np.asarray(values, np.float32).astype(float).tolist()}


def check_body_size(size: int) -> None:
    """Refuse a request body over 2 MB."""
    if size > MAX_REQUEST_BYTES:
        raise RequestRefusedError(
            413,
            f"Request size {size / 2**20:.1f}MB exceeds the maximum supported size of 2MB",
        )
