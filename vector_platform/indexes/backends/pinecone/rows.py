"""Rows as Pinecone documents, both ways, losing nothing.

Belongs here: the conversions, and Pinecone's limits that make a single row impossible.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final

import numpy as np
import orjson
import pyarrow as pa

from vector_platform.indexes.backends.pinecone.names import (
    attribute_field,
    document_id_problem,
    is_attribute_field,
)
from vector_platform.indexes.contract import StoredRow
from vector_platform.indexes.stored_rows import vectors_of

# Pinecone: everything of a document but its vector, as JSON, less the room for a fence's mark.
METADATA_BYTES: Final = 40 * 1024 - 64


def pinecone_documents(
    rows: pa.RecordBatch, dimension: int, namespace_of: Callable[[str], str]
) -> tuple[dict[str, list[dict[str, Any]]], dict[str, str]]:
    """Rows as Pinecone documents by namespace, without those it could never hold.

    Attributes travel twice: as canonical JSON, which comes back as it was (Pinecone makes every
    number a double), and one field each, to filter by (`names.attribute_field`).

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
        problem = _problem(row_id, row)
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


def _problem(row_id: str, metadata: Mapping[str, Any]) -> str | None:
    if (problem := document_id_problem(row_id)) is not None:
        return problem
    size = len(orjson.dumps(metadata))
    if size > METADATA_BYTES:
        sizes = {name: len(orjson.dumps(value)) for name, value in metadata.items()}
        longest = max(sizes, key=lambda name: sizes[name])
        return (
            f"the row without its vector has {size} bytes, Pinecone takes "
            f"{METADATA_BYTES}; its largest field is {longest} with {sizes[longest]}"
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
