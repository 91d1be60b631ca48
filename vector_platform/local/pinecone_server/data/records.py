"""One stored record, and its two JSON spellings: a document and a classic vector.

Belongs here: the record value, and turning request JSON into records and records into response
JSON, checked against the index's schema.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ..errors import invalid
from ..limits import (
    MAX_TEXT_FIELD_BYTES,
    check_dense,
    check_id,
    check_metadata,
    check_sparse,
)
from .schema import Schema

DenseVector = np.ndarray[Any, np.dtype[np.float32]]
SparseVector = dict[str, list[Any]]


@dataclass(frozen=True, slots=True)
class Record:
    """A record as stored.

    Attributes:
        id: Unique within its namespace.
        fields: Metadata, and full-text fields by name.
        dense: The dense vector, shape `(dimension,)`, or None.
        sparse: The sparse vector as `{"indices", "values"}`, or None.
    """

    id: str
    fields: dict[str, Any]
    dense: DenseVector | None = None
    sparse: SparseVector | None = None


def document_to_record(schema: Schema, document: Any, position: int) -> Record:
    """Turn a document of an upsert into a record.

    Raises:
        RequestRefusedError: 400 that names the document and the field.
    """
    record = document_patch(schema, document, position)
    if schema.dense_field and record.dense is None:
        raise invalid(f"Document '{record.id}' is missing required field '{schema.dense_field}'")
    text = schema.text_fields & record.fields.keys()
    if record.dense is None and record.sparse is None and not text:
        expected = ", ".join(sorted(schema.data_fields))
        raise invalid(f"Document '{record.id}' must carry at least one schema field of {expected}")
    return record


def document_patch(schema: Schema, document: Any, position: int) -> Record:
    """Turn a partial document of an update into a record that holds only what it sets."""
    if not isinstance(document, dict):
        raise invalid(f"Document at position {position} must be an object")
    record_id = check_id(document.get("_id"), f"Document at position {position}: _id")
    metadata: dict[str, Any] = {}
    text: dict[str, str] = {}
    dense: DenseVector | None = None
    sparse: SparseVector | None = None
    for name, value in document.items():
        what = f"Document '{record_id}': field '{name}'"
        if name in ("_id", "_remove_fields"):
            continue
        if name == schema.dense_field:
            dense = check_dense(value, schema.dimension, what)
        elif name == schema.sparse_field:
            sparse = check_sparse(value, what)
        elif name in schema.text_fields:
            if not isinstance(value, str):
                raise invalid(f"{what} must be a string")
            if len(value.encode()) > MAX_TEXT_FIELD_BYTES:
                raise invalid(f"{what} exceeds {MAX_TEXT_FIELD_BYTES} bytes")
            text[name] = value
        else:
            metadata[name] = value
    return Record(record_id, check_metadata(metadata, documents=True) | text, dense, sparse)


def patched(schema: Schema, old: Record, patch: Record, remove: list[str]) -> Record:
    """Apply a partial document: set what the patch holds, drop the fields to remove."""
    if schema.dense_field in remove:
        raise invalid(f"Required field '{schema.dense_field}' cannot be removed")
    fields = {k: v for k, v in (old.fields | patch.fields).items() if k not in remove}
    text = {k: v for k, v in fields.items() if k in schema.text_fields}
    metadata = {k: v for k, v in fields.items() if k not in schema.text_fields}
    sparse = None if schema.sparse_field in remove else patch.sparse or old.sparse
    dense = old.dense if patch.dense is None else patch.dense
    if dense is None and sparse is None and not text:
        raise invalid(f"Document '{old.id}' must keep at least one schema field")
    return Record(old.id, check_metadata(metadata, documents=True) | text, dense, sparse)


def record_to_document(
    schema: Schema, record: Record, include: list[str] | None, *, everything_by_default: bool
) -> dict[str, Any]:
    """Show a record as a document.

    Args:
        schema: The index's schema.
        record: What to show.
        include: Requested field names; `["*"]` means all.
        everything_by_default: What an absent or empty `include` means: all fields for a fetch,
            none for a search.
    """
    if not include and not everything_by_default:
        return {"_id": record.id}
    shown: dict[str, Any] = {"_id": record.id, **record.fields}
    if schema.dense_field and record.dense is not None:
        shown[schema.dense_field] = record.dense
    if schema.sparse_field and record.sparse is not None:
        shown[schema.sparse_field] = record.sparse
    if not include or "*" in include:
        return shown
    return {name: value for name, value in shown.items() if name == "_id" or name in include}
