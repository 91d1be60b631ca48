"""Audits of stored tables against the contract: every rule counted, every kind sampled.

Belongs here: the rules Delta does not enforce, checked over what is stored, streaming. Does not
belong here: what follows from a finding; that is for whoever asked.
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
from vector_platform.lake.joins import spilling_duckdb
from vector_platform.lake.lake import Lake

if TYPE_CHECKING:
    import duckdb

SAMPLE = 10


@dataclass(frozen=True)
class Finding:
    """How many rows break one rule.

    Attributes:
        rule: What must hold, in snake case.
        rows: Rows that break it.
        sample: Keys of some of them.
    """

    rule: str
    rows: int
    sample: list[str]


_CHUNK_RULES = {
    "id_is_unique": "copies > 1",
    "id_fits_backends": f"octet_length(encode(chunk_id)) > {MAX_ID_BYTES} OR chunk_id = ''",
    "tenant_is_named": f"tenant = '' OR octet_length(encode(tenant)) > {MAX_TENANT_BYTES}",
    "text_is_not_empty": "trim(text) = ''",
    "attributes_are_an_object": "NOT json_valid(attributes) OR json_type(attributes) <> 'OBJECT'",
    "attributes_fit_backends": f"octet_length(encode(attributes)) > {MAX_ATTRIBUTES_BYTES}",
    "content_hash_is_right": (
        "content_hash <> substr(sha256(CASE WHEN title = '' THEN text "
        "ELSE title || chr(10) || text END), 1, 32)"
    ),
}


def audit_chunks(lake: Lake) -> list[Finding]:
    """Every rule of the chunks table, over its newest version."""
    with spilling_duckdb() as db:
        # A scanner, not the dataset: filters of the rules must not be pushed into the files, whose
        # strings a merge may have stored as a type that Arrow cannot compare (`conditions.py`).
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
    rules = {
        "content_is_unique": "copies > 1",
        "dimension_is_registered": f"dimension <> {model.dimension}",
        "values_are_finite": "NOT isfinite(norm)",
        "norm_is_one": f"isfinite(norm) AND abs(norm - 1) > {UNIT_NORM_TOLERANCE}",
        "fingerprint_is_registered": f"fingerprint <> '{model.fingerprint}'",
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
    db: duckdb.DuckDBPyConnection, table: str, key: str, rules: dict[str, str]
) -> list[Finding]:
    findings = []
    for rule, broken in rules.items():
        row = db.execute(
            f"SELECT count(*), list({key} ORDER BY {key})[1:{SAMPLE}] FROM {table} WHERE {broken}"
        ).fetchone()
        assert row is not None
        findings.append(Finding(rule, int(row[0]), list(row[1] or [])))
    return findings
