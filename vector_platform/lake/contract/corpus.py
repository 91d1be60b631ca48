"""Tables of what is searched: documents, their relations, their chunks, and golden queries.

Belongs here: content.
"""

from __future__ import annotations

import pyarrow as pa

from vector_platform.lake.contract.spec import TIMESTAMP, TableSpec, required

DOCUMENTS = TableSpec(
    name="documents",
    schema=pa.schema(
        [
            required("doc_id", pa.string()),
            required("source", pa.string()),
            required("key", pa.string()),
            required("tenant", pa.string()),
            required("region", pa.string()),
            required("title", pa.string()),
            required("body", pa.string()),
            required("attributes", pa.string()),
            pa.field("updated_at", TIMESTAMP),
            pa.field("duplicate_of", pa.string()),
            required("row_hash", pa.string()),
            required("uri", pa.string()),
            required("run_id", pa.string()),
            required("ingested_at", TIMESTAMP),
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
            required("subject", pa.string()),
            required("predicate", pa.string()),
            required("object", pa.string()),
            required("weight", pa.float64()),
            required("source", pa.string()),
        ]
    ),
    keys=("subject", "predicate", "object"),
    description="Directed edges between documents (or a document and a named thing).",
)

CHUNKS = TableSpec(
    name="chunks",
    schema=pa.schema(
        [
            required("chunk_id", pa.string()),
            required("doc_id", pa.string()),
            required("ordinal", pa.int32()),
            required("source", pa.string()),
            required("tenant", pa.string()),
            required("region", pa.string()),
            required("title", pa.string()),
            required("text", pa.string()),
            required("content_hash", pa.string()),
            required("attributes", pa.string()),
            required("chunker", pa.string()),
            pa.field("row_hash", pa.string()),
        ]
    ),
    keys=("chunk_id",),
    change_feed=True,
    description="Passages to embed and serve. `attributes` is canonical JSON.",
)

QUARANTINED_SLICES = TableSpec(
    name="quarantined_slices",
    schema=pa.schema(
        [
            required("quarantine_id", pa.string()),
            required("source", pa.string()),
            required("tenant", pa.string()),
            pa.field("since", pa.date32()),
            required("actor", pa.string()),
            required("reason", pa.string()),
            pa.field("evaluation_id", pa.string()),
            required("run_id", pa.string()),
            required("opened_at", TIMESTAMP),
            required("documents_id", pa.string()),
            required("documents_version", pa.int64()),
            pa.field("lifted_at", TIMESTAMP),
            pa.field("lifted_by", pa.string()),
            pa.field("lift_reason", pa.string()),
        ]
    ),
    keys=("quarantine_id",),
    description="Slices of documents that have no chunks, and so are in no index, until a replay.",
)

GOLDEN_QUERIES = TableSpec(
    name="golden_queries",
    schema=pa.schema(
        [
            required("set_name", pa.string()),
            required("query_id", pa.string()),
            required("text", pa.string()),
            required("doc_id", pa.string()),
            required("gain", pa.int32()),
            pa.field("tenant", pa.string()),
            required("provenance", pa.string()),
        ]
    ),
    keys=("set_name", "query_id", "doc_id"),
    description="Queries with known answers, one row a judged document.",
)

GOLDEN_PROPOSALS = TableSpec(
    name="golden_proposals",
    schema=pa.schema(
        [
            required("proposal_id", pa.string()),
            required("state", pa.string()),
            required("text", pa.string()),
            required("doc_id", pa.string()),
            required("tenant", pa.string()),
            required("novelty", pa.float64()),
            required("model_version", pa.string()),
            required("provenance", pa.string()),
            pa.field("decided_by", pa.string()),
            required("run_id", pa.string()),
            required("proposed_at", TIMESTAMP),
        ]
    ),
    keys=("proposal_id",),
    description="Golden queries that the platform proposes for new content; they count when a "
    "person has accepted them. A row goes with the text that it was made from.",
)
