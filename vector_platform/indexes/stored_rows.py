"""Between `INDEX_ROW` batches and what any backend stores: vectors, keys, hits, parts.

Belongs here: pure conversions that backends share. What one backend makes of a row, and which rows
it could never hold, is in its own folder.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any, Final, TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from vector_platform.indexes.contract import INDEX_KEY, Hit

# Stored fields that make a hit.
HIT_FIELDS: Final = ("tenant", "digest", "region", "doc_id", "title", "text", "attributes")

Item = TypeVar("Item")


def vectors_of(rows: pa.RecordBatch, dimension: int) -> tuple[np.ndarray, dict[str, str]]:
    """Vectors as a float32 matrix, and the rows that have none of this length.

    Returns:
        Matrix of shape (rows, dimension), zero where refused; and id -> reason.
    """
    column = rows.column("vector")
    lengths = pc.list_value_length(column).to_numpy(zero_copy_only=False)
    good = lengths == dimension
    matrix = np.zeros((rows.num_rows, dimension), np.float32)
    flat = column.filter(pa.array(good)).flatten().to_numpy(zero_copy_only=False)
    matrix[good] = flat.reshape(-1, dimension)
    ids = rows.column("id").to_pylist()
    refused = {
        ids[at]: f"vector has {lengths[at]} dimensions, the generation has {dimension}"
        for at in np.flatnonzero(~good)
    }
    return matrix, refused


def by_tenant(rows: pa.RecordBatch, size: int) -> Iterator[pa.RecordBatch]:
    """The same rows in parts of one tenant each and of at most so many rows, in tenants' order."""
    tenants = rows.column("tenant").to_numpy(zero_copy_only=False)
    order = np.argsort(tenants, kind="stable")
    ordered = rows.take(pa.array(order))
    starts = np.flatnonzero(np.append(True, tenants[order][1:] != tenants[order][:-1]))
    for start, end in pairwise([*starts.tolist(), rows.num_rows]):
        yield from (ordered.slice(at, min(size, end - at)) for at in range(start, end, size))


def hit_of(row_id: str, score: float, stored: Mapping[str, Any]) -> Hit:
    """A hit from the stored fields of a row; fields somebody removed read as empty."""
    text = {name: stored.get(name) or "" for name in HIT_FIELDS if name != "attributes"}
    attributes = stored.get("attributes") or {}
    if isinstance(attributes, str):
        attributes = json.loads(attributes)
    return Hit(id=row_id, score=score, attributes=attributes, **text)


def best(hits: Iterable[Hit], k: int) -> list[Hit]:
    """The k best hits, best first, ties by id."""
    return sorted(hits, key=lambda hit: (-hit.score, hit.id))[:k]


def pages(items: Sequence[Item], size: int) -> Iterator[Sequence[Item]]:
    """Cut a sequence into pieces of at most so many."""
    return (items[start : start + size] for start in range(0, len(items), size))


def key_batch(rows: Sequence[tuple[str, str, str | None]]) -> pa.RecordBatch:
    """`INDEX_KEY` batch of (id, tenant, digest) triples."""
    columns = list(zip(*rows, strict=True)) or [(), (), ()]
    return pa.RecordBatch.from_arrays([pa.array(c, pa.string()) for c in columns], schema=INDEX_KEY)
