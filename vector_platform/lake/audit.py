"""Audits of stored tables against the contract: every rule counted, every kind sampled.

Belongs here: the rules Delta does not enforce, checked over what is stored, streaming.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from vector_platform.lake.contract import (
    MAX_ATTRIBUTES_BYTES,
    MAX_ID_BYTES,
    MAX_TENANT_BYTES,
    UNIT_NORM_TOLERANCE,
)
from vector_platform.lake.identities import unfit_sql
from vector_platform.lake.lake import Lake
from vector_platform.lake.rules import CONTENT_SQL
from vector_platform.lake.storage.joins import spilling_duckdb

if TYPE_CHECKING:
    import duckdb

SAMPLE = 10
# Of a value that breaks a rule.
SHOWN_CHARACTERS = 80


@dataclass(frozen=True)
class Finding:
    """How many rows break one rule.

    Attributes:
        rule: What must hold, in snake case.
        rows: Rows that break it.
        sample: Keys of some of them.
        values: What these have in the field, shortened, in the same order.
        field: The field that breaks it.
        way_out: What to do about it.
    """

    rule: str
    rows: int
    sample: list[str]
    values: list[str]
    field: str
    way_out: str


@dataclass(frozen=True)
class _Rule:
    """A rule in SQL.

    Attributes:
        broken: Condition of the rows that break it.
        field: The field that it is about.
        way_out: What to do about it.
        shown: What is shown of the field, where the field itself says too little.
    """

    broken: str
    field: str
    way_out: str
    shown: str = ""


_WRITTEN_BESIDE = (
    "Nothing of the platform writes this: find what wrote to the table beside it, and materialise "
    "lake/chunks again, which derives them anew."
)
_AT_THE_SOURCE = "Mend the documents at their source, land them and materialise lake/chunks."
_ANOTHER_NAME = (
    "Delete no rows: retire the model version, give the mended model a new name in platform.yaml, "
    "and promote that."
)

_CHUNK_RULES = {
    "id_is_unique": _Rule("copies > 1", "chunk_id", _WRITTEN_BESIDE, "copies || ' copies'"),
    "id_fits_backends": _Rule(
        unfit_sql("chunk_id", max_bytes=MAX_ID_BYTES),
        "chunk_id",
        f"Give the documents keys of at most {MAX_ID_BYTES} bytes at their source.",
        "octet_length(encode(chunk_id)) || ' bytes'",
    ),
    "tenant_is_named": _Rule(
        unfit_sql("tenant", max_bytes=MAX_TENANT_BYTES),
        "tenant",
        f"Give them a tenant of 1 to {MAX_TENANT_BYTES} bytes without control characters: "
        "sources.NAME.fields.tenant.",
    ),
    "region_is_named": _Rule(
        unfit_sql("region", max_bytes=MAX_TENANT_BYTES),
        "region",
        f"Give them a region of 1 to {MAX_TENANT_BYTES} bytes without control characters: "
        "sources.NAME.fields.region.",
    ),
    "text_is_not_empty": _Rule("trim(text) = ''", "text", _WRITTEN_BESIDE),
    "attributes_are_an_object": _Rule(
        "NOT json_valid(attributes) OR json_type(attributes) <> 'OBJECT'",
        "attributes",
        _WRITTEN_BESIDE,
    ),
    "attributes_fit_backends": _Rule(
        f"octet_length(encode(attributes)) > {MAX_ATTRIBUTES_BYTES}",
        "attributes",
        f"{_AT_THE_SOURCE} {MAX_ATTRIBUTES_BYTES} bytes are the most.",
        "octet_length(encode(attributes)) || ' bytes'",
    ),
    "content_hash_is_right": _Rule(
        f"content_hash <> substr(sha256({CONTENT_SQL}), 1, 32)",
        "content_hash",
        _WRITTEN_BESIDE,
    ),
}


def audit_chunks(lake: Lake) -> list[Finding]:
    """Every rule of the chunks table, over its newest version."""
    lake.chunks.require_files()
    with spilling_duckdb() as db:
        # A scanner, not the dataset: filters of the rules must not be pushed into the files, whose
        # strings a merge may have stored as a type that Arrow cannot compare
        # (`lake/storage/conditions.py`).
        db.register("chunks", lake.chunks.dataset().scanner())
        db.execute(
            "CREATE TEMP VIEW audited AS SELECT c.*, copies FROM chunks c "
            "JOIN (SELECT chunk_id, count(*) AS copies FROM chunks GROUP BY chunk_id) "
            "USING (chunk_id)"
        )
        return _findings(db, "audited", "chunk_id", _CHUNK_RULES)


def audit_vectors(lake: Lake, model_version: str) -> list[Finding]:
    """Every rule of one model version's embeddings, over their newest version."""
    model = lake.model_version(model_version)
    lake.embeddings.require_files()
    rules = {
        "content_is_unique": _Rule(
            "copies > 1", "content_hash", _ANOTHER_NAME, "copies || ' copies'"
        ),
        "dimension_is_registered": _Rule(
            f"dimension <> {model.dimension}", "vector", _ANOTHER_NAME, "dimension || ' dimensions'"
        ),
        "values_are_finite": _Rule(
            "NOT isfinite(norm)", "vector", _ANOTHER_NAME, "'norm ' || norm"
        ),
        "norm_is_one": _Rule(
            f"isfinite(norm) AND abs(norm - 1) > {UNIT_NORM_TOLERANCE}",
            "vector",
            _ANOTHER_NAME,
            "'norm ' || norm",
        ),
        "fingerprint_is_registered": _Rule(
            f"fingerprint <> '{model.fingerprint}'",
            "fingerprint",
            "The model was changed under its name: see the check of its canaries.",
        ),
    }
    with spilling_duckdb() as db:
        db.register("vectors", lake.vectors(model_version))
        # Norms are computed once; the vectors themselves are not kept.
        db.execute(
            """
            CREATE TEMP TABLE audited AS
            SELECT content_hash, fingerprint, len(vector) AS dimension,
                   sqrt(list_inner_product(vector, vector)) AS norm,
                   count(*) OVER (PARTITION BY content_hash) AS copies
            FROM vectors
            """
        )
        return _findings(db, "audited", "content_hash", rules)


def _findings(
    db: duckdb.DuckDBPyConnection, table: str, key: str, rules: dict[str, _Rule]
) -> list[Finding]:
    findings = []
    for name, rule in rules.items():
        shown = f"left(CAST({rule.shown or rule.field} AS VARCHAR), {SHOWN_CHARACTERS})"
        row = db.execute(
            f"SELECT count(*), list({key} ORDER BY {key})[1:{SAMPLE}], "
            f"list({shown} ORDER BY {key})[1:{SAMPLE}] FROM {table} WHERE {rule.broken}"
        ).fetchone()
        assert row is not None
        sample, values = list(row[1] or []), list(row[2] or [])
        findings.append(Finding(name, int(row[0]), sample, values, rule.field, rule.way_out))
    return findings
