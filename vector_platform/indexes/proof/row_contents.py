"""Whether a stored row is, field by field, what the lake says it should be.

Belongs here: pure comparison of one row, whole, with the row that the lake derives.

The digest that is stored with a row says what it was made from. It says nothing of what the row
holds since: who writes another text, or only another attribute, may leave the digest as it was.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

import numpy as np
import orjson
import pyarrow as pa

from vector_platform.indexes.contract import INDEX_ROW, RowKey, StoredRow
from vector_platform.lake.rules import canonical_json

# Stored vectors are float32; a backend that normalises again moves them by a few ulp.
VECTOR_TOLERANCE: Final = 1e-5
# What is said of a row that lists and cannot be read.
NOT_THERE: Final = "cannot be read"
_TEXTS: Final = tuple(
    name for name in INDEX_ROW.names if name not in ("id", "vector", "attributes")
)


def wanted_rows(rows: pa.RecordBatch) -> Iterator[tuple[RowKey, StoredRow]]:
    """`INDEX_ROW` rows as a backend should have them."""
    fields = rows.drop_columns("vector").to_pylist()
    for row, vector in zip(fields, rows.column("vector"), strict=True):
        row |= {
            "attributes": orjson.loads(row["attributes"]),
            "vector": vector.values.to_numpy(),
        }
        yield (row.pop("id"), row["tenant"]), row


def differing_fields(wanted: StoredRow, stored: StoredRow | None) -> list[str]:
    """Fields of a row that are not as they should be; `NOT_THERE` when nothing is stored."""
    if stored is None:
        return [NOT_THERE]
    differing = [name for name in _TEXTS if stored.get(name) != wanted[name]]
    if not _same_json(wanted["attributes"], stored.get("attributes")):
        differing.append("attributes")
    if not _same_vector(wanted["vector"], stored.get("vector")):
        differing.append("vector")
    return differing


def _same_json(one: Mapping[str, Any], other: Any) -> bool:
    # Equal objects may hold True for 1, or 1.0 for it; their canonical texts do not.
    return bool(one == other) and canonical_json(one) == canonical_json(other)


def _same_vector(one: np.ndarray, other: np.ndarray | None) -> bool:
    if other is None or one.shape != other.shape:
        return False
    # Written so that a NaN is a difference.
    return bool(np.abs(one - other).max(initial=0) <= VECTOR_TOLERANCE)
