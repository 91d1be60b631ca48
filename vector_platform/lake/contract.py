"""The data contract: every table of the lake, its columns, keys, and what a row must satisfy.

Belongs here: names, schemas, hashes, and pure checks over Arrow data. Does not belong here:
reading or writing (`tables.py`, `lake.py`). Delta enforces neither uniqueness, nor vector
dimension, nor norm; these checks do, and they list every violation, never only the first.
"""

from __future__ import annotations

import hashlib
import json
import math
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

TIMESTAMP = pa.timestamp("us", tz="UTC")

# Both backends hold integers as JSON numbers or float64: exact up to 2^53.
MAX_EXACT_INT = 2**53
# Pinecone's limit for ids; Milvus allows more.
MAX_ID_BYTES = 512
MAX_TENANT_BYTES = 128
# Pinecone holds 40 KiB of metadata a record; text and the fixed fields need the rest.
MAX_ATTRIBUTES_BYTES = 16 * 1024
# float32 rounding of a unit vector of up to 4096 dimensions stays well below this.
UNIT_NORM_TOLERANCE = 1e-3


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
    description="Vectors of contents under a model version. Append-only: a vector is a fact.",
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
        ]
    ),
    keys=("backend", "index", "generation"),
    description="What each index generation was built from and the snapshot it is proven equal to.",
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


def doc_id_of(source: str, key: str) -> str:
    """The platform-wide id of a source's document: `{source}:{key}`, ASCII by percent-encoding.

    Printable ASCII stays as it is (except `%` itself), so common keys remain readable and the
    encoding is reversible.
    """
    encoded = "".join(
        char if 0x21 <= ord(char) <= 0x7E and char != "%" else _percent(char) for char in key
    )
    return f"{source}:{encoded}"


def _percent(char: str) -> str:
    return "".join(f"%{byte:02X}" for byte in char.encode())


def content_of(title: str, text: str) -> str:
    """The text that a model sees for a chunk: its title, a line break, and the passage."""
    return f"{title}\n{text}" if title else text


def hash_text(text: str) -> str:
    """SHA-256 of UTF-8 text, first 128 bits as 32 hex digits.

    128 bits keep the chance of any collision among 10^9 texts below 10^-20.
    """
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def digest_of(
    *, content_hash: str, fingerprint: str, tenant: str, region: str, attributes: str
) -> str:
    """What an index row must say of itself: everything it derives from, in one hash.

    Stored in the index beside the vector. `Lake.index_rows` computes the same in SQL; a test
    holds the two together.
    """
    return hash_text("\x1f".join((content_hash, fingerprint, tenant, region, attributes)))


def canonical_json(value: Any) -> str:
    """JSON with sorted keys, no spaces, no escapes beyond the necessary; refuses NaN."""
    return json.dumps(
        value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
    )


def attribute_problem(value: Any) -> str | None:
    """Why a value cannot be an attribute, or None when it can.

    Admissible is the lossless subset of both backends: string, bool, float64, integers up to
    2^53, and lists of strings.
    """
    if isinstance(value, (bool, str)):
        return None
    if isinstance(value, int):
        return None if abs(value) <= MAX_EXACT_INT else f"integer {value} is beyond 2^53"
    if isinstance(value, float):
        return None if math.isfinite(value) else f"{value} is not a finite number"
    if isinstance(value, list):
        odd = next((item for item in value if not isinstance(item, str)), None)
        return None if odd is None else f"list holds {type(odd).__name__}, only strings fit"
    return f"type {type(value).__name__} fits no backend"
