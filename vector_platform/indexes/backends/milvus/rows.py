"""Rows as Milvus entities, losing nothing.

Belongs here: the conversion, how many go into a request, and Milvus' limits that make a single row
impossible.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, Final

import pyarrow as pa

from vector_platform.indexes.stored_rows import vectors_of

# Longest VARCHAR of Milvus, in bytes of UTF-8, and the longest JSON value.
TEXT_BYTES: Final = 65_535
JSON_BYTES: Final = 65_535
# A server takes messages of up to 64 MiB.
REQUEST_BYTES: Final = 32 * 2**20
# Bytes of the other VARCHAR fields. Ids and tenants are as long as Pinecone lets them be.
FIELD_BYTES: Final = {
    "id": 512,
    "tenant": 512,
    "digest": 128,
    "region": 256,
    "doc_id": 1024,
    "title": TEXT_BYTES,
    "text": TEXT_BYTES,
}


def milvus_rows(
    rows: pa.RecordBatch, dimension: int
) -> tuple[list[dict[str, Any]], dict[str, str]]:
    """Rows as Milvus entities, without those it could never hold.

    Attributes travel as a JSON value: Milvus keeps its text, so `1` and `1.0` stay apart.

    Returns:
        Entities; and id -> reason of the refused.
    """
    matrix, refused = vectors_of(rows, dimension)
    entities = []
    for vector, row in zip(matrix, rows.drop_columns("vector").to_pylist(), strict=True):
        problem = _problem(row)
        if problem is not None:
            refused.setdefault(row["id"], problem)
        if row["id"] not in refused:
            entities.append(
                row | {"vector": vector, "attributes": json.loads(row["attributes"])},
            )
    return entities, refused


def requests_of(rows: pa.RecordBatch, most: int) -> Iterator[pa.RecordBatch]:
    """Cut rows into requests of at most so many, and of no more bytes than a server takes."""
    for start in range(0, rows.num_rows, most):
        part = rows.slice(start, most)
        if part.nbytes > REQUEST_BYTES and part.num_rows > 1:
            yield from requests_of(part, part.num_rows // 2)
        else:
            yield part


def _problem(row: Mapping[str, str]) -> str | None:
    for name, limit in FIELD_BYTES.items():
        value = row[name]
        # Four bytes are the most a character takes: most rows need no encoding to be measured.
        if len(value) * 4 > limit and len(value.encode()) > limit:
            return f"{name} has {len(value.encode())} bytes, Milvus takes {limit}"
    size = len(row["attributes"].encode())
    if size > JSON_BYTES:
        return f"attributes have {size} bytes as JSON, Milvus takes {JSON_BYTES}"
    return None
