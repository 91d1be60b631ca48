"""Tables of what sources gave: raw rows, what could not land, and the record of landings.

Belongs here: rows as they came.
"""

from __future__ import annotations

import pyarrow as pa

from vector_platform.lake.contract.spec import LINEAGE, TIMESTAMP, TableSpec, required


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
                required("ingest_date", pa.date32()),
                required("key", pa.string()),
                required("operation", pa.string()),
                required("payload", pa.string()),
                required("row_hash", pa.string()),
                pa.field("event_time", TIMESTAMP),
                *LINEAGE,
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
            required("source", pa.string()),
            required("ingest_date", pa.date32()),
            required("place", pa.string()),
            pa.field("key", pa.string()),
            required("reason", pa.string()),
            pa.field("payload", pa.string()),
            required("run_id", pa.string()),
            required("rejected_at", TIMESTAMP),
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
            required("source", pa.string()),
            required("ingest_date", pa.date32()),
            required("run_id", pa.string()),
            required("landed_at", TIMESTAMP),
            required("rows_read", pa.int64()),
            required("inserted", pa.int64()),
            required("changed", pa.int64()),
            required("removed", pa.int64()),
            required("late", pa.int64()),
            required("rejected", pa.int64()),
            pa.field("unchanged", pa.int64()),
            pa.field("waiting", pa.int64()),
        ]
    ),
    keys=("source", "ingest_date", "run_id"),
    description="One row for every landing of a source's day: which days have been read.",
)
