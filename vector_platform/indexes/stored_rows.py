"""Between `INDEX_ROW` batches and what the backends store, both ways, losing nothing.

Belongs here: pure conversions, and the limits of each backend that make a single row impossible.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any, Final, TypeVar

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.compute as pc

from vector_platform.indexes.contract import INDEX_KEY, Hit, StoredRow
from vector_platform.indexes.naming import attribute_field, document_id_problem, is_attribute_field

# Longest VARCHAR of Milvus, in bytes of UTF-8, and the longest JSON value.
MILVUS_TEXT_BYTES: Final = 65_535
MILVUS_JSON_BYTES: Final = 65_535
# Bytes of the other VARCHAR fields. Ids and tenants are as long as Pinecone lets them be.
MILVUS_FIELD_BYTES: Final = {
    "id": 512,
    "tenant": 512,
    "digest": 128,
    "region": 256,
    "doc_id": 1024,
    "title": MILVUS_TEXT_BYTES,
    "text": MILVUS_TEXT_BYTES,
}
# Pinecone: everything of a document but its vector, as JSON, less the room for a fence's mark.
PINECONE_METADATA_BYTES: Final = 40 * 1024 - 64
# Milvus fields and Pinecone document fields that make a hit.
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
        problem = _milvus_problem(row)
        if problem is not None:
            refused.setdefault(row["id"], problem)
        if row["id"] not in refused:
            entities.append(
                row | {"vector": vector, "attributes": json.loads(row["attributes"])},
            )
    return entities, refused


def _milvus_problem(row: Mapping[str, str]) -> str | None:
    for name, limit in MILVUS_FIELD_BYTES.items():
        value = row[name]
        # Four bytes are the most a character takes: most rows need no encoding to be measured.
        if len(value) * 4 > limit and len(value.encode()) > limit:
            return f"{name} has {len(value.encode())} bytes, Milvus takes {limit}"
    size = len(row["attributes"].encode())
    if size > MILVUS_JSON_BYTES:
        return f"attributes have {size} bytes as JSON, Milvus takes {MILVUS_JSON_BYTES}"
    return None


def pinecone_documents(
    rows: pa.RecordBatch, dimension: int, namespace_of: Callable[[str], str]
) -> tuple[dict[str, list[dict[str, Any]]], dict[str, str]]:
    """Rows as Pinecone documents by namespace, without those it could never hold.

    Attributes travel twice: as canonical JSON, which comes back as it was (Pinecone makes every
    number a double), and one field each, to filter by (`naming.attribute_field`).

    Args:
        rows: `INDEX_ROW` rows.
        dimension: Of the generation.
        namespace_of: Tenant -> namespace; raises ValueError for one that has none.

    Returns:
        Namespace -> documents; and id -> reason of the refused.
    """
    matrix, refused = vectors_of(rows, dimension)
    documents: dict[str, list[dict[str, Any]]] = {}
    for vector, row in zip(matrix, rows.drop_columns("vector").to_pylist(), strict=True):
        row_id = row.pop("id")
        if row_id in refused:
            continue
        attributes = orjson.loads(row["attributes"])
        row |= {attribute_field(name): value for name, value in attributes.items()}
        problem = _pinecone_problem(row_id, row)
        try:
            namespace = namespace_of(row["tenant"])
        except ValueError as error:
            problem = str(error)
        if problem is None:
            document = {"_id": row_id, "vector": _as_json(vector), **row}
            documents.setdefault(namespace, []).append(document)
        else:
            refused[row_id] = problem
    return documents, refused


def pinecone_row(document: Mapping[str, Any]) -> StoredRow:
    """A Pinecone document as the row that it serves.

    Its attributes are None where those that queries filter by are not those that hits show.
    """
    attributes: dict[str, Any] | None
    fields: dict[str, Any] | None
    try:
        attributes = orjson.loads(document["attributes"])
        fields = {attribute_field(name): value for name, value in (attributes or {}).items()}
    except (KeyError, TypeError, AttributeError, ValueError):
        fields = attributes = None
    filtered = {name: value for name, value in document.items() if is_attribute_field(name)}
    # Numbers are doubles there, whatever they were.
    same = fields is not None and _with_doubles(fields) == _with_doubles(filtered)
    vector = document.get("vector")
    return {
        **document,
        "attributes": attributes if same else None,
        "vector": None if vector is None else np.asarray(vector, np.float32),
    }


def _with_doubles(fields: Mapping[str, Any]) -> bytes:
    def double(value: Any) -> Any:
        if isinstance(value, list):
            return [double(one) for one in value]
        number = isinstance(value, int) and not isinstance(value, bool)
        return float(value) if number else value

    doubles = {name: double(value) for name, value in fields.items()}
    return orjson.dumps(doubles, option=orjson.OPT_SORT_KEYS)


def _as_json(vector: np.ndarray) -> orjson.Fragment:
    """A float32 vector as the JSON it is sent as: the shortest decimals that give it back.

    The SDK encodes with orjson, which copies a fragment as it is. A list of Python floats would
    be made, measured and encoded number by number, at several times the price of sending it.
    """
    return orjson.Fragment(orjson.dumps(vector, option=orjson.OPT_SERIALIZE_NUMPY))


def by_tenant(rows: pa.RecordBatch, size: int) -> Iterator[pa.RecordBatch]:
    """The same rows in parts of one tenant each and of at most so many rows, in tenants' order."""
    tenants = rows.column("tenant").to_numpy(zero_copy_only=False)
    order = np.argsort(tenants, kind="stable")
    ordered = rows.take(pa.array(order))
    starts = np.flatnonzero(np.append(True, tenants[order][1:] != tenants[order][:-1]))
    for start, end in pairwise([*starts.tolist(), rows.num_rows]):
        yield from (ordered.slice(at, min(size, end - at)) for at in range(start, end, size))


def _pinecone_problem(row_id: str, metadata: Mapping[str, Any]) -> str | None:
    if (problem := document_id_problem(row_id)) is not None:
        return problem
    size = len(orjson.dumps(metadata))
    if size > PINECONE_METADATA_BYTES:
        sizes = {name: len(orjson.dumps(value)) for name, value in metadata.items()}
        longest = max(sizes, key=lambda name: sizes[name])
        return (
            f"the row without its vector has {size} bytes, Pinecone takes "
            f"{PINECONE_METADATA_BYTES}; its largest field is {longest} with {sizes[longest]}"
        )
    return None


def batches_by_size(
    documents: Sequence[dict[str, Any]], *, max_rows: int, max_bytes: int
) -> Iterable[list[dict[str, Any]]]:
    """Cut documents into requests of at most so many rows and bytes of JSON, in order.

    A document larger than `max_bytes` is a batch of its own.
    """
    batch: list[dict[str, Any]] = []
    size = 0
    for document in documents:
        own = len(orjson.dumps(document)) + 1
        if batch and (len(batch) == max_rows or size + own > max_bytes):
            yield batch
            batch, size = [], 0
        batch.append(document)
        size += own
    if batch:
        yield batch


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
