"""Tables of what readers are given: generations of indexes, and how they were released.

Belongs here: the platform's own record of indexes and decisions.
"""

from __future__ import annotations

import pyarrow as pa

from vector_platform.lake.contract.spec import TIMESTAMP, TableSpec, required

INDEX_STATE = TableSpec(
    name="index_state",
    schema=pa.schema(
        [
            required("backend", pa.string()),
            required("index", pa.string()),
            required("generation", pa.string()),
            required("model_version", pa.string()),
            required("fingerprint", pa.string()),
            required("dimension", pa.int32()),
            required("status", pa.string()),
            pa.field("chunks_version", pa.int64()),
            pa.field("embeddings_version", pa.int64()),
            pa.field("chunks_id", pa.string()),
            required("rows", pa.int64()),
            required("spec", pa.string()),
            required("run_id", pa.string()),
            required("created_at", TIMESTAMP),
            required("updated_at", TIMESTAMP),
            pa.field("fully_proven_at", TIMESTAMP),
            pa.field("stamps", pa.list_(pa.string())),
            pa.field("doubt", pa.string()),
        ]
    ),
    keys=("backend", "index", "generation"),
    description="What each index generation was built from and the snapshot it is proven equal to.",
)

REJECTED_ROWS = TableSpec(
    name="rejected_rows",
    schema=pa.schema(
        [
            required("backend", pa.string()),
            required("index", pa.string()),
            required("generation", pa.string()),
            required("id", pa.string()),
            required("tenant", pa.string()),
            required("digest", pa.string()),
            required("doc_id", pa.string()),
            pa.field("source", pa.string()),
            pa.field("uri", pa.string()),
            required("reason", pa.string()),
            required("run_id", pa.string()),
            required("rejected_at", TIMESTAMP),
        ]
    ),
    keys=("backend", "index", "generation", "id", "tenant"),
    description="Rows that a backend refuses, with its reason; they leave when they are mended.",
)

RELEASES = TableSpec(
    name="releases",
    schema=pa.schema(
        [
            required("backend", pa.string()),
            required("index", pa.string()),
            required("sequence", pa.int64()),
            required("generation", pa.string()),
            required("model_version", pa.string()),
            pa.field("previous_generation", pa.string()),
            required("actor", pa.string()),
            required("reason", pa.string()),
            required("evidence", pa.string()),
            required("run_id", pa.string()),
            required("released_at", TIMESTAMP),
        ]
    ),
    keys=("backend", "index", "sequence"),
    description="Append-only history of the live pointer; the highest sequence is live.",
)

RELEASE_REQUESTS = TableSpec(
    name="release_requests",
    schema=pa.schema(
        [
            required("request_id", pa.string()),
            required("backend", pa.string()),
            required("index", pa.string()),
            required("generation", pa.string()),
            required("model_version", pa.string()),
            required("requester", pa.string()),
            required("automatic", pa.bool_()),
            required("reason", pa.string()),
            required("run_id", pa.string()),
            required("requested_at", TIMESTAMP),
            required("state", pa.string()),
            required("waits_for", pa.string()),
            pa.field("evidence_id", pa.string()),
            required("updated_at", TIMESTAMP),
            pa.field("leaves", pa.string()),
        ]
    ),
    keys=("request_id",),
    description="Asked-for moves of the live pointer: who asked, and what became of it.",
)

DECISIONS = TableSpec(
    name="decisions",
    schema=pa.schema(
        [
            required("decision_id", pa.string()),
            required("decided_at", TIMESTAMP),
            required("actor", pa.string()),
            required("what", pa.string()),
            required("subject", pa.string()),
            required("evidence", pa.list_(pa.string())),
            pa.field("before", pa.string()),
            pa.field("after", pa.string()),
            required("why", pa.string()),
            required("run_id", pa.string()),
        ]
    ),
    keys=("decision_id",),
    description="Append-only: who decided what about which subject, on what evidence, and why.",
)
