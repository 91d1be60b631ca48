"""What describes a table, and the columns that many of them share.

Belongs here: the form of a table's contract.
"""

from __future__ import annotations

from dataclasses import dataclass

import pyarrow as pa

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


def required(name: str, kind: pa.DataType) -> pa.Field:
    """A column that is never null."""
    return pa.field(name, kind, nullable=False)


# Where a row came from, and by which run.
LINEAGE = [
    required("source", pa.string()),
    required("uri", pa.string()),
    required("run_id", pa.string()),
    required("ingested_at", TIMESTAMP),
]
