"""An index's schema: which fields it searches, parsed once from the create request.

Belongs here: the grammar of `schema.fields` in API version 2026-07 and the frozen value that the
rest of the server asks.

A schema made only of the reserved names `_values` and `_sparse_values` is a classic vector
index (what the SDK sends for its deprecated `dimension=`/`metric=` arguments); any other schema
is a document index. Integrated embedding (`embed`, `semantic_text`) is answered with 501.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ..errors import invalid, not_implemented, undeserializable
from ..limits import MAX_DIMENSION, check_int

CLASSIC_DENSE_FIELD = "_values"
CLASSIC_SPARSE_FIELD = "_sparse_values"
_METRICS = ("cosine", "euclidean", "dotproduct")
# What the service reads in a create request and then refuses, since it is not searched. A string
# without `full_text_search` must say `filterable` to be read, and numbers have no other type.
_FILTER_ONLY_TYPES = ("string", "float", "boolean", "string_list")


@dataclass(frozen=True)
class Schema:
    """What an index searches.

    Attributes:
        fields: The declared fields as the API returns them.
        dense_field: Name of the dense vector field, if any.
        sparse_field: Name of the sparse vector field, if any.
        text_fields: Names of the full-text fields.
        dimension: Length of the dense vectors; 0 without a dense field.
        metric: `cosine`, `euclidean` or `dotproduct` (always `dotproduct` without dense).
    """

    fields: dict[str, dict[str, Any]]
    dense_field: str | None
    sparse_field: str | None
    text_fields: frozenset[str]
    dimension: int
    metric: str

    @property
    def has_documents(self) -> bool:
        """Whether the documents API serves this index (else the vectors API does)."""
        return not set(self.fields) <= {CLASSIC_DENSE_FIELD, CLASSIC_SPARSE_FIELD}

    @property
    def data_fields(self) -> frozenset[str]:
        """Fields that are searched and so cannot be filtered by comparison."""
        vectors = {name for name in (self.dense_field, self.sparse_field) if name}
        return self.text_fields | vectors

    def as_json(self) -> dict[str, Any]:
        """Return the schema as the API shows it."""
        return {"fields": self.fields}


def parse_schema(raw: Any) -> Schema:
    """Parse and check `schema` of a create request.

    Raises:
        RequestRefusedError: 422 for a wrong shape, 400 for a wrong value, 501 for integrated
            embedding.
    """
    declared = raw.get("fields") if isinstance(raw, dict) else None
    if not isinstance(declared, dict) or not declared:
        raise undeserializable("missing field `schema`")
    classic = set(declared) <= {CLASSIC_DENSE_FIELD, CLASSIC_SPARSE_FIELD}
    fields = {name: _field(name, field, classic=classic) for name, field in declared.items()}
    by_type: dict[str, list[str]] = {}
    for name, field in fields.items():
        by_type.setdefault(field["type"], []).append(name)
    for kind in ("dense_vector", "sparse_vector"):
        if len(by_type.get(kind, [])) > 1:
            raise invalid(f"A schema can declare at most one field of type `{kind}`")
    dense = by_type.get("dense_vector", [None])[0]
    sparse = by_type.get("sparse_vector", [None])[0]
    return Schema(
        fields=fields,
        dense_field=dense,
        sparse_field=sparse,
        text_fields=frozenset(by_type.get("string", [])),
        dimension=fields[dense]["dimension"] if dense else 0,
        metric=fields[dense]["metric"] if dense else "dotproduct",
    )


def _field(name: str, field: Any, *, classic: bool) -> dict[str, Any]:
    """Check one declared field and return it as the API shows it."""
    if not name or len(name.encode()) > 64 or (name[0] in "_$" and not classic):
        raise invalid(f"Field name '{name[:80]}' is reserved, empty, or longer than 64 bytes")
    if not isinstance(field, dict):
        raise undeserializable(f"field `{name}` must be an object")
    kind = field.get("type")
    shown: dict[str, Any] = {"type": kind}
    if field.get("description") is not None:
        shown["description"] = field["description"]
    if kind == "dense_vector":
        return shown | _dense_parameters(field)
    if kind == "sparse_vector":
        return shown
    if kind == "semantic_text" or "embed" in field or "sparse_embed" in field:
        raise not_implemented(f"integrated embedding (schema field '{name}'): bring your vectors")
    if kind == "string" and isinstance(field.get("full_text_search"), dict):
        options = {"language": "en", "stemming": False, "stop_words": False}
        options |= {k: v for k, v in field["full_text_search"].items() if v is not None}
        if options["stemming"] or options["stop_words"] or options.get("ngram"):
            raise not_implemented(f"stemming, stop words or n-grams (schema field '{name}')")
        return shown | {"full_text_search": options}
    if kind == "string" and not isinstance(field.get("filterable"), bool):
        raise undeserializable(
            f"schema.fields.{name}: a `string` needs `full_text_search` or `filterable`"
        )
    if kind in _FILTER_ONLY_TYPES:
        raise invalid(
            "The schema only accepts fields used for search (field types `dense_vector`, "
            "`sparse_vector`, and `string` with `full_text_search` configuration). To use field "
            f"'{name}' for filtering (field types `boolean`, `float`, `string`, or "
            "`string_list`), omit it from the schema and include it in documents. It will be "
            "indexed automatically."
        )
    raise undeserializable(f"unknown field type {kind!r} of field `{name}`")


def _dense_parameters(field: dict[str, Any]) -> dict[str, Any]:
    """Check the dimension and metric of a dense vector field."""
    if field.get("dimension") is None or field.get("metric") is None:
        missing = "dimension" if field.get("dimension") is None else "metric"
        raise undeserializable(f"missing field `{missing}`")
    if field["metric"] not in _METRICS:
        raise invalid(f"Unknown metric {field['metric']!r}: must be one of {', '.join(_METRICS)}")
    dimension = check_int(field["dimension"], "dimension", 1, MAX_DIMENSION)
    return {"dimension": dimension, "metric": field["metric"]}
