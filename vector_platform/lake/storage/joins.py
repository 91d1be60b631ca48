"""Joins that do not fit in memory: in-memory DuckDBs with a memory limit and a spill folder.

Belongs here: opening DuckDB, what it scans, and streaming from it.
"""

from __future__ import annotations

import atexit
import os
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.dataset as ds

from vector_platform.errors import VectorPlatformError
from vector_platform.lake.storage.damage import reading
from vector_platform.lake.storage.scratch import ScratchFolder

if TYPE_CHECKING:
    import duckdb

# Memory of one DuckDB, for all that a process joins in it at once; more is spilled to its folder.
JOIN_MEMORY = "768MB"
# Rows that a scan hands over at once; DuckDB works on 2,048.
SCAN_ROWS = 8192


# The last errors of scans, which reach a query through DuckDB.
_UNREADABLE: deque[VectorPlatformError] = deque(maxlen=16)


@contextmanager
def spilling_duckdb(*, as_written: bool = False) -> Iterator[duckdb.DuckDBPyConnection]:
    """A private connection to a DuckDB whose tables and joins spill to a temporary folder.

    Args:
        as_written: Join in the order of the query, and keep its right sides in memory. Left to
            the optimiser, which knows the size of no stream, the larger side may be kept.
    """
    import duckdb

    db = _database(os.getpid(), as_written).cursor()
    try:
        yield db
    except duckdb.Error as error:
        # DuckDB keeps of an error in what it reads the text alone.
        said = str(error)
        raise next((one for one in _UNREADABLE if str(one) in said), error) from None
    finally:
        db.close()


@cache
def _database(pid: int, as_written: bool) -> duckdb.DuckDBPyConnection:
    """One a process and order: opening a DuckDB takes 15 ms, a connection to an open one none."""
    import duckdb

    spill = ScratchFolder("join")
    db = duckdb.connect(
        config={"memory_limit": JOIN_MEMORY, "temp_directory": str(spill.path), "threads": 2}
    )
    if as_written:
        db.execute("SET disabled_optimizers = 'join_order,build_side_probe_side'")

    def close() -> None:
        # A forked process has inherited this promise, but neither the threads nor the folder.
        if os.getpid() == pid:
            db.close()
            # Who ends while the interpreter does is reported as leaked, with all of DuckDB.
            _database.cache_clear()
            spill.remove()

    atexit.register(close)
    return db


def scan(files: ds.Dataset, columns: Sequence[str]) -> pa.RecordBatchReader:
    """Some columns of a dataset, to be registered in DuckDB and read once.

    One row group after the other, when it is asked for. Arrow's own scan of a dataset reads on
    while a join spills, and DuckDB asks it for sixteen files at once: half the lake in memory.
    """
    schema = pa.schema([files.schema.field(name) for name in columns])
    return pa.RecordBatchReader.from_batches(schema, _row_groups(files, schema))


def _row_groups(files: ds.Dataset, schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    place = getattr(getattr(files, "filesystem", None), "base_path", "").rstrip("/")
    try:
        with reading(place.rpartition("/")[2] or "of the lake", place or "the object store"):
            yield from _read_row_groups(files, schema)
    except VectorPlatformError as error:
        _UNREADABLE.append(error)
        raise


def _read_row_groups(files: ds.Dataset, schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    for fragment in files.get_fragments():
        parquet = isinstance(fragment, ds.ParquetFileFragment)
        for group in fragment.split_by_row_group() if parquet else [fragment]:
            for batch in group.to_batches(
                files.schema,
                columns=schema.names,
                batch_size=SCAN_ROWS,
                batch_readahead=1,
                fragment_readahead=1,
            ):
                yield batch.cast(schema)


def stream(
    db: duckdb.DuckDBPyConnection, sql: str, *, batch_rows: int = 65536, **parameters: str
) -> Iterator[pa.RecordBatch]:
    """The result of a query as non-empty Arrow batches; `$name` parameters are bound.

    The next batch is computed while the caller works on the one it has. A stream that is given up
    may be let go by the garbage collector, in the middle of anything: so its end waits for the
    query and joins no thread, since joining takes a lock that a thread being started holds.
    """
    relation = db.sql(sql, params=parameters) if parameters else db.sql(sql)
    reader = relation.to_arrow_reader(batch_rows)
    ahead = ThreadPoolExecutor(1, "lake-stream")
    coming = ahead.submit(next, reader, None)
    try:
        while (batch := coming.result()) is not None:
            coming = ahead.submit(next, reader, None)
            if batch.num_rows:
                yield batch
    finally:
        wait([coming])
        ahead.shutdown(wait=False)
