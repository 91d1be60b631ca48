"""Joins that do not fit in memory: an in-memory DuckDB with a memory limit and a spill folder.

Belongs here: opening and streaming from DuckDB. Does not belong here: any particular query.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pyarrow as pa

if TYPE_CHECKING:
    import duckdb

# DuckDB's share of memory; more is spilled to the temporary folder.
JOIN_MEMORY = "768MB"


@contextmanager
def spilling_duckdb() -> Iterator[duckdb.DuckDBPyConnection]:
    """A private DuckDB whose tables and joins spill to a temporary folder of their own."""
    import duckdb

    with tempfile.TemporaryDirectory(prefix="vector-platform-join-") as spill:
        db = duckdb.connect(
            config={"memory_limit": JOIN_MEMORY, "temp_directory": spill, "threads": 2}
        )
        try:
            yield db
        finally:
            db.close()


def stream(
    db: duckdb.DuckDBPyConnection, sql: str, *, batch_rows: int = 65536, **parameters: str
) -> Iterator[pa.RecordBatch]:
    """The result of a query as non-empty Arrow batches; `$name` parameters are bound."""
    relation = db.sql(sql, params=parameters) if parameters else db.sql(sql)
    for batch in relation.to_arrow_reader(batch_rows):
        if batch.num_rows:
            yield batch
