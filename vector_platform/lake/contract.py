"""The data contract: every table of the lake, its columns, keys, and what a row must satisfy.

Belongs here: names, schemas and keys of tables; the rules of single values are in `rules.py` and
importable from here. Does not belong here: reading or writing (`tables.py`, `lake.py`). Delta
enforces neither uniqueness, nor vector dimension, nor norm; `audit.py` checks them.
"""

from __future__ import annotations

from dataclasses import dataclass

import pyarrow as pa

from vector_platform.lake.rules import (
    MAX_ATTRIBUTES_BYTES,
    MAX_EXACT_INT,
    MAX_ID_BYTES,
    MAX_TENANT_BYTES,
    UNIT_NORM_TOLERANCE,
    attribute_problem,
    canonical_json,
    content_of,
    digest_of,
    doc_id_of,
    hash_text,
)

__all__ = [
    "CANARIES",
    "CHUNKS",
    "DECISIONS",
    "DOCUMENTS",
    "DRIFT_REFERENCES",
    "DRIFT_SKETCHES",
    "EMBEDDINGS",
    "EVALUATIONS",
    "GOLDEN_QUERIES",
    "INDEX_STATE",
    "LANDINGS",
    "MAX_ATTRIBUTES_BYTES",
    "MAX_EXACT_INT",
    "MAX_ID_BYTES",
    "MAX_TENANT_BYTES",
    "MODEL_VERSIONS",
    "QUARANTINED_VECTORS",
    "RAW_REJECTS",
    "RELATIONS",
    "RELEASES",
    "RELEASE_REQUESTS",
    "TIMESTAMP",
    "UNIT_NORM_TOLERANCE",
    "TableSpec",
    "attribute_problem",
    "canonical_json",
    "content_of",
    "digest_of",
    "doc_id_of",
    "hash_text",
    "raw_spec",
]

TIMESTAMP = pa.timestamp("us", tz="UTC")


@dataclass(frozen=True)
class TableSpec:
    """What a table is: its place, columns, keys and partitioning.

    Attributes:
        name: Path below the lake's root, e.g. `chunks` or `raw/advisories`.
        schema: Arrow schema; a non-nullable field must never be null.
        keys: Columns that identify a row.
        partition_by: Delta partition columns.
        change_feed: Whether row-level changes are recorded (Delta change data feed).
        description: One sentence for people who open the table.
    """

    name: str
    schema: pa.Schema
    keys: tuple[str, ...]
    partition_by: tuple[str, ...] = ()
    change_feed: bool = False
    description: str = ""


def _required(name: str, kind: pa.DataType) -> pa.Field:
    return pa.field(name, kind, nullable=False)


_LINEAGE = [
    _required("source", pa.string()),
    _required("uri", pa.string()),
    _required("run_id", pa.string()),
    _required("ingested_at", TIMESTAMP),
]


def raw_spec(source: str) -> TableSpec:
    """The raw table of one source: rows as they came, as JSON, plus lineage.

    `payload` is the source's row, untouched, as JSON with sorted keys; the mapping of
    `platform.yaml` is applied later (staging), so a changed mapping replays without the source.
    `operation` is `upsert`, or `delete` for a tombstone (payload `{}`).
    """
    return TableSpec(
        name=f"raw/{source}",
        schema=pa.schema(
            [
                _required("ingest_date", pa.date32()),
                _required("key", pa.string()),
                _required("operation", pa.string()),
                _required("payload", pa.string()),
                _required("row_hash", pa.string()),
                pa.field("event_time", TIMESTAMP),
                *_LINEAGE,
            ]
        ),
        keys=("key", "row_hash", "ingested_at"),
        partition_by=("ingest_date",),
        description=f"Rows of source {source} as they landed, append-only.",
    )


RAW_REJECTS = TableSpec(
    name="raw_rejects",
    schema=pa.schema(
        [
            _required("source", pa.string()),
            _required("ingest_date", pa.date32()),
            _required("place", pa.string()),
            pa.field("key", pa.string()),
            _required("reason", pa.string()),
            pa.field("payload", pa.string()),
            _required("run_id", pa.string()),
            _required("rejected_at", TIMESTAMP),
        ]
    ),
    keys=("source", "ingest_date", "place"),
    partition_by=("source", "ingest_date"),
    description="Rows and files that could not land, with the reason and the place.",
)

LANDINGS = TableSpec(
    name="landings",
    schema=pa.schema(
        [
            _required("source", pa.string()),
            _required("ingest_date", pa.date32()),
            _required("run_id", pa.string()),
            _required("landed_at", TIMESTAMP),
            _required("rows_read", pa.int64()),
            _required("inserted", pa.int64()),
            _required("changed", pa.int64()),
            _required("removed", pa.int64()),
            _required("late", pa.int64()),
            _required("rejected", pa.int64()),
        ]
    ),
    keys=("source", "ingest_date", "run_id"),
    description="One row for every landing of a source's day: which days have been read.",
)

DOCUMENTS = TableSpec(
    name="documents",
    schema=pa.schema(
        [
            _required("doc_id", pa.string()),
            _required("source", pa.string()),
            _required("key", pa.string()),
            _required("tenant", pa.string()),
            _required("region", pa.string()),
            _required("title", pa.string()),
            _required("body", pa.string()),
            _required("attributes", pa.string()),
            pa.field("updated_at", TIMESTAMP),
            pa.field("duplicate_of", pa.string()),
            _required("row_hash", pa.string()),
            _required("uri", pa.string()),
            _required("run_id", pa.string()),
            _required("ingested_at", TIMESTAMP),
        ]
    ),
    keys=("doc_id",),
    change_feed=True,
    description="Normalised documents, one row each: the dbt mart, published.",
)

RELATIONS = TableSpec(
    name="relations",
    schema=pa.schema(
        [
            _required("subject", pa.string()),
            _required("predicate", pa.string()),
            _required("object", pa.string()),
            _required("weight", pa.float64()),
            _required("source", pa.string()),
        ]
    ),
    keys=("subject", "predicate", "object"),
    description="Directed edges between documents (or a document and a named thing).",
)

CHUNKS = TableSpec(
    name="chunks",
    schema=pa.schema(
        [
            _required("chunk_id", pa.string()),
            _required("doc_id", pa.string()),
            _required("ordinal", pa.int32()),
            _required("source", pa.string()),
            _required("tenant", pa.string()),
            _required("region", pa.string()),
            _required("title", pa.string()),
            _required("text", pa.string()),
            _required("content_hash", pa.string()),
            _required("attributes", pa.string()),
            _required("chunker", pa.string()),
        ]
    ),
    keys=("chunk_id",),
    change_feed=True,
    description="Passages to embed and serve. `attributes` is canonical JSON.",
)

EMBEDDINGS = TableSpec(
    name="embeddings",
    schema=pa.schema(
        [
            _required("model_version", pa.string()),
            _required("content_hash", pa.string()),
            _required("vector", pa.list_(pa.float32())),
            _required("fingerprint", pa.string()),
            _required("run_id", pa.string()),
            _required("embedded_at", TIMESTAMP),
        ]
    ),
    keys=("model_version", "content_hash"),
    partition_by=("model_version",),
    description="Vectors of contents under a model version. A vector is a fact: it is added once, "
    "and leaves only for quarantined_vectors.",
)

QUARANTINED_VECTORS = TableSpec(
    name="quarantined_vectors",
    schema=pa.schema(
        [
            *EMBEDDINGS.schema,
            _required("quarantined_at", TIMESTAMP),
            pa.field("removed_version", pa.int64()),
        ]
    ),
    keys=("model_version", "content_hash", "run_id"),
    partition_by=("model_version",),
    description="Vectors that a model wrote while it did not answer as registered.",
)

MODEL_VERSIONS = TableSpec(
    name="model_versions",
    schema=pa.schema(
        [
            _required("model_version", pa.string()),
            _required("fingerprint", pa.string()),
            _required("dimension", pa.int32()),
            _required("details", pa.string()),
            _required("registered_at", TIMESTAMP),
            _required("run_id", pa.string()),
        ]
    ),
    keys=("model_version",),
    description="The immutable binding of a model version's name to its fingerprint.",
)

CANARIES = TableSpec(
    name="canaries",
    schema=pa.schema(
        [
            _required("model_version", pa.string()),
            _required("runtime", pa.string()),
            _required("ordinal", pa.int32()),
            _required("text", pa.string()),
            _required("vector", pa.list_(pa.float32())),
            _required("tolerance", pa.float64()),
            _required("run_id", pa.string()),
            _required("registered_at", TIMESTAMP),
        ]
    ),
    keys=("model_version", "runtime", "ordinal"),
    description="Texts with the vectors that a model version gave them when it was registered.",
)

GOLDEN_QUERIES = TableSpec(
    name="golden_queries",
    schema=pa.schema(
        [
            _required("set_name", pa.string()),
            _required("query_id", pa.string()),
            _required("text", pa.string()),
            _required("doc_id", pa.string()),
            _required("gain", pa.int32()),
            pa.field("tenant", pa.string()),
            _required("provenance", pa.string()),
        ]
    ),
    keys=("set_name", "query_id", "doc_id"),
    description="Queries with known answers, one row a judged document.",
)

INDEX_STATE = TableSpec(
    name="index_state",
    schema=pa.schema(
        [
            _required("backend", pa.string()),
            _required("index", pa.string()),
            _required("generation", pa.string()),
            _required("model_version", pa.string()),
            _required("fingerprint", pa.string()),
            _required("dimension", pa.int32()),
            _required("status", pa.string()),
            pa.field("chunks_version", pa.int64()),
            pa.field("embeddings_version", pa.int64()),
            pa.field("chunks_id", pa.string()),
            _required("rows", pa.int64()),
            _required("spec", pa.string()),
            _required("run_id", pa.string()),
            _required("created_at", TIMESTAMP),
            _required("updated_at", TIMESTAMP),
            pa.field("fully_proven_at", TIMESTAMP),
        ]
    ),
    keys=("backend", "index", "generation"),
    description="What each index generation was built from and the snapshot it is proven equal to.",
)

REJECTED_ROWS = TableSpec(
    name="rejected_rows",
    schema=pa.schema(
        [
            _required("backend", pa.string()),
            _required("index", pa.string()),
            _required("generation", pa.string()),
            _required("id", pa.string()),
            _required("tenant", pa.string()),
            _required("digest", pa.string()),
            _required("doc_id", pa.string()),
            pa.field("source", pa.string()),
            pa.field("uri", pa.string()),
            _required("reason", pa.string()),
            _required("run_id", pa.string()),
            _required("rejected_at", TIMESTAMP),
        ]
    ),
    keys=("backend", "index", "generation", "id", "tenant"),
    description="Rows that a backend refuses, with its reason; they leave when they are mended.",
)

RELEASES = TableSpec(
    name="releases",
    schema=pa.schema(
        [
            _required("backend", pa.string()),
            _required("index", pa.string()),
            _required("sequence", pa.int64()),
            _required("generation", pa.string()),
            _required("model_version", pa.string()),
            pa.field("previous_generation", pa.string()),
            _required("actor", pa.string()),
            _required("reason", pa.string()),
            _required("evidence", pa.string()),
            _required("run_id", pa.string()),
            _required("released_at", TIMESTAMP),
        ]
    ),
    keys=("backend", "index", "sequence"),
    description="Append-only history of the live pointer; the highest sequence is live.",
)

RELEASE_REQUESTS = TableSpec(
    name="release_requests",
    schema=pa.schema(
        [
            _required("request_id", pa.string()),
            _required("backend", pa.string()),
            _required("index", pa.string()),
            _required("generation", pa.string()),
            _required("model_version", pa.string()),
            _required("requester", pa.string()),
            _required("automatic", pa.bool_()),
            _required("reason", pa.string()),
            _required("run_id", pa.string()),
            _required("requested_at", TIMESTAMP),
            _required("state", pa.string()),
            _required("waits_for", pa.string()),
            pa.field("evidence_id", pa.string()),
            _required("updated_at", TIMESTAMP),
        ]
    ),
    keys=("request_id",),
    description="Asked-for moves of the live pointer: who asked, and what became of it.",
)

DECISIONS = TableSpec(
    name="decisions",
    schema=pa.schema(
        [
            _required("decision_id", pa.string()),
            _required("decided_at", TIMESTAMP),
            _required("actor", pa.string()),
            _required("what", pa.string()),
            _required("subject", pa.string()),
            _required("evidence", pa.list_(pa.string())),
            pa.field("before", pa.string()),
            pa.field("after", pa.string()),
            _required("why", pa.string()),
            _required("run_id", pa.string()),
        ]
    ),
    keys=("decision_id",),
    description="Append-only: who decided what about which subject, on what evidence, and why.",
)

EVALUATIONS = TableSpec(
    name="evaluations",
    schema=pa.schema(
        [
            _required("evaluation_id", pa.string()),
            _required("kind", pa.string()),
            _required("subject", pa.string()),
            _required("model_version", pa.string()),
            _required("metric", pa.string()),
            _required("value", pa.float64()),
            _required("sample_size", pa.int64()),
            pa.field("chunks_version", pa.int64()),
            _required("details", pa.string()),
            _required("run_id", pa.string()),
            _required("evaluated_at", TIMESTAMP),
        ]
    ),
    keys=("evaluation_id", "metric"),
    description="Append-only measurements: retrieval quality per model, drift statistics.",
)

# Arrays of the feature map of `quality/feature_map.py`, row by row; `centre` gives the dimension.
FEATURE_MAP = (
    "centre",
    "components",
    "directions",
    "phases",
    "wave_centre",
    "wave_slope",
    "wave_axes",
    "anchors",
    "topics",
    "cells",
    "trigrams",
    "ranks",
)

DRIFT_REFERENCES = TableSpec(
    name="drift_references",
    schema=pa.schema(
        [
            _required("model_version", pa.string()),
            _required("sequence", pa.int64()),
            _required("map_version", pa.string()),
            _required("first_day", pa.date32()),
            _required("last_day", pa.date32()),
            *(_required(name, pa.list_(pa.float32())) for name in FEATURE_MAP),
            _required("calibration", pa.list_(pa.string())),
            _required("actor", pa.string()),
            _required("reason", pa.string()),
            pa.field("evaluation_id", pa.string()),
            _required("run_id", pa.string()),
            _required("accepted_at", TIMESTAMP),
        ]
    ),
    keys=("model_version", "sequence"),
    description="Days that count as normal, the feature map fitted on a slice of them, who "
    "accepted them and why; the highest sequence of a model version holds.",
)

DRIFT_SKETCHES = TableSpec(
    name="drift_sketches",
    schema=pa.schema(
        [
            _required("model_version", pa.string()),
            _required("day", pa.date32()),
            _required("tenant", pa.string()),
            _required("source", pa.string()),
            _required("map_version", pa.string()),
            _required("rows", pa.int64()),
            _required("sums", pa.list_(pa.float64())),
        ]
    ),
    keys=("model_version", "day", "tenant", "source"),
    partition_by=("model_version",),
    description="Sums of the features of a day's chunks: they merge and subtract, so drift is "
    "judged without reading vectors.",
)
