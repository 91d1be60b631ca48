"""The `score_by` clauses of a document search, parsed into one of three ways to rank.

Belongs here: the grammar of scoring clauses. `query_string`, `embed` and `sparse_embed` clauses
are answered with 501.
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from typing import Any, Protocol

from ..data.filters import Filter
from ..data.records import DenseVector
from ..data.schema import Schema
from ..data.search import Hit, Reader
from ..errors import invalid, not_implemented
from ..limits import (
    MAX_SCORING_CLAUSES,
    MAX_TOP_K,
    check_dense,
    check_int,
    check_sparse,
)


class Search(Protocol):
    """A parsed way to rank records."""

    def hits(self, reader: Reader, condition: Filter | None) -> list[Hit]:
        """Rank what the reader sees and the condition passes."""
        ...


@dataclass(frozen=True)
class _Dense:
    query: DenseVector
    k: int

    def hits(self, reader: Reader, condition: Filter | None) -> list[Hit]:
        return reader.dense_hits(self.query, self.k, condition)


@dataclass(frozen=True)
class _Sparse:
    query: dict[Hashable, float]
    k: int

    def hits(self, reader: Reader, condition: Filter | None) -> list[Hit]:
        return reader.sparse_hits(self.query, self.k, condition)


@dataclass(frozen=True)
class _Text:
    clauses: list[tuple[str, str]]
    k: int

    def hits(self, reader: Reader, condition: Filter | None) -> list[Hit]:
        return reader.text_hits(self.clauses, self.k, condition)


def parse_search(schema: Schema, body: dict[str, Any]) -> Search:
    """Parse `score_by` and `top_k` of a search.

    Raises:
        RequestRefusedError: 400 for a wrong clause, 501 for one this server does not do.
    """
    k = check_int(body.get("top_k"), "top_k", 1, MAX_TOP_K)
    clauses = body.get("score_by")
    if not isinstance(clauses, list) or not 1 <= len(clauses) <= MAX_SCORING_CLAUSES:
        raise invalid(
            f"'score_by' must contain at least one scoring method, {MAX_SCORING_CLAUSES} at most."
        )
    kinds = {clause.get("type") if isinstance(clause, dict) else None for clause in clauses}
    for kind in ("query_string", "embed", "sparse_embed"):
        if kind in kinds:
            raise not_implemented(f"'{kind}' scoring")
    if kinds == {"text"}:
        return _Text([pair for clause in clauses for pair in _text_pairs(schema, clause)], k)
    if len(clauses) > 1:
        raise invalid("'dense_vector' and 'sparse_vector' clauses must appear alone in 'score_by'")
    clause = clauses[0]
    if kinds == {"dense_vector"}:
        _check_field(clause, schema.dense_field, "dense_vector")
        return _Dense(check_dense(clause.get("values"), schema.dimension, "values", query=True), k)
    if kinds == {"sparse_vector"}:
        _check_field(clause, schema.sparse_field, "sparse_vector")
        sparse = check_sparse(clause.get("sparse_values"), "sparse_values")
        return _Sparse(dict(zip(sparse["indices"], sparse["values"], strict=True)), k)
    raise invalid(f"scoring method type {next(iter(kinds))!r} is unknown")


def _clause_fields(clause: dict[str, Any]) -> list[Any]:
    fields = clause.get("fields") or ([clause["field"]] if clause.get("field") else [])
    return fields if isinstance(fields, list) else [fields]


def _check_field(clause: dict[str, Any], declared: str | None, kind: str) -> None:
    fields = _clause_fields(clause)
    if len(fields) != 1:
        raise invalid(f"{kind} scoring requires specifying the name of exactly one field")
    if fields[0] != declared:
        raise invalid(f"Scoring field '{fields[0]}' is not a {kind} field of the index schema")


def _text_pairs(schema: Schema, clause: dict[str, Any]) -> list[tuple[str, str]]:
    query, fields = clause.get("query"), _clause_fields(clause)
    if not isinstance(query, str):
        raise invalid("text scoring requires a string 'query'")
    if not fields:
        raise invalid("text scoring requires specifying at least one field")
    for name in fields:
        if name not in schema.text_fields:
            raise invalid(f"Scoring field '{name}' is not a full-text field of the index schema")
    return [(name, query) for name in fields]
