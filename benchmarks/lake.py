"""Writing and reading the lake at several sizes: seconds, rows a second, bytes read, peak memory.

Belongs here: the lake benchmark; prints one table. Rows are synthetic (`synthetic.py`); each
step runs in a process of its own (`measuring.py`) on a lake in a temporary folder that is
removed at the end. Making the rows is not part of a step.

    python benchmarks/lake.py [--quick] [--rows N ...]
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from measuring import (
    MIB,
    PrintedTable,
    bytes_read,
    clean_up_when_told_to_stop,
    measured,
    note,
)
from synthetic import MODEL, VECTORS_A_COMMIT, chunk_rows, register, vector_rows

from vector_platform.lake.lake import Lake

CHURN = 0.01
FEW_IDS = 64
HEADER = ("rows, step", "seconds", "rows", "rows/s", "MiB read", "peak MiB")
# Seconds, rows and bytes read of a step.
Facts = tuple[float, int, int]


def _timed(work: Callable[[], int]) -> Facts:
    read, started = bytes_read(), time.perf_counter()
    rows = work()
    return time.perf_counter() - started, rows, bytes_read() - read


def _open(folder: Path) -> Lake:
    lake = Lake(str(folder / "lake"))
    register(lake)  # and so all imports are done
    return lake


def _count(batches: object) -> int:
    return sum(batch.num_rows for batch in batches)  # type: ignore[attr-defined]


# -- steps, each run in a process of its own ----------------------------------------------------


def prepare(folder: Path, rows: int) -> None:
    """The rows to merge, ready on disk."""
    pq.write_table(chunk_rows(range(rows)), folder / "chunks.parquet")
    changed = chunk_rows(range(0, rows, round(1 / CHURN)), edition=1)
    pq.write_table(changed, folder / "changed.parquet")


def merge_chunks(folder: Path, file: str) -> Facts:
    lake, rows = _open(folder), pq.read_table(folder / file)

    def work() -> int:
        lake.chunks.merge(rows)
        return int(rows.num_rows)

    return _timed(work)


def append_vectors(folder: Path) -> Facts:
    lake = _open(folder)
    hashes: list[str] = []
    version = lake.chunks.version()
    for batch in lake.missing_contents(MODEL, chunks_version=version):
        hashes += batch.column("content_hash").to_pylist()
    total = [0.0, 0, 0]
    for start in range(0, len(hashes), VECTORS_A_COMMIT):
        vectors = vector_rows(hashes[start : start + VECTORS_A_COMMIT])
        seconds, _, read = _timed(lambda vectors=vectors: lake.embeddings.append(vectors))
        total[0], total[1], total[2] = total[0] + seconds, total[1] + len(vectors), total[2] + read
    return total[0], int(total[1]), int(total[2])


def missing_contents(folder: Path) -> Facts:
    lake = _open(folder)
    version = lake.chunks.version()
    return _timed(lambda: _count(lake.missing_contents(MODEL, chunks_version=version)))


def count_missing(folder: Path) -> Facts:
    lake = _open(folder)
    snapshot = lake.snapshot()

    def work() -> int:
        lake.count_missing(MODEL, snapshot)
        return 0

    return _timed(work)


def index_keys(folder: Path) -> Facts:
    lake = _open(folder)
    return _timed(lambda: _count(lake.index_keys(MODEL, lake.snapshot())))


def index_rows(folder: Path) -> Facts:
    lake = _open(folder)
    return _timed(lambda: _count(lake.index_rows(MODEL, lake.snapshot())))


def index_rows_by_id(folder: Path, rows: int) -> Facts:
    lake = _open(folder)
    numbers = range(0, rows, max(1, rows // FEW_IDS))
    ids = pa.table({"id": [f"synthetic:{number}#0" for number in numbers]})
    return _timed(lambda: _count(lake.index_rows(MODEL, lake.snapshot(), ids=ids)))


def index_changes(folder: Path) -> Facts:
    lake = _open(folder)
    now = lake.snapshot()
    before = type(now)(now.chunks - 1, now.embeddings, now.chunks_id)
    return _timed(lambda: int(lake.index_changes(MODEL, before, now)[0].num_rows))


# -- the table ----------------------------------------------------------------------------------


def rows_of(folder: Path, rows: int) -> Iterator[list[str]]:
    """Every step on one lake, in an order in which each finds what it needs."""
    measured(prepare, folder, rows)
    steps: list[tuple[str, Callable[..., Facts], tuple[object, ...]]] = [
        ("merge all chunks into an empty table", merge_chunks, (folder, "chunks.parquet")),
        ("missing contents, all of them", missing_contents, (folder,)),
        ("append all vectors", append_vectors, (folder,)),
        ("count missing contents, none", count_missing, (folder,)),
        ("index keys", index_keys, (folder,)),
        ("index rows", index_rows, (folder,)),
        (f"index rows of {FEW_IDS} ids", index_rows_by_id, (folder, rows)),
        (f"merge {CHURN:.0%} changed chunks", merge_chunks, (folder, "changed.parquet")),
        (f"index changes, {CHURN:.0%}", index_changes, (folder,)),
    ]
    for name, step, arguments in steps:
        note(f"{rows:,}: {name}")
        cost = measured(step, *arguments)
        seconds, done, read = cost.result
        yield [
            f"{rows:,}, {name}",
            f"{seconds:.2f}",
            f"{done:,}",
            f"{done / seconds:,.0f}" if done else "",
            f"{read / MIB:,.1f}",
            cost.peak_mib,
        ]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="10,000 rows only")
    parser.add_argument("--rows", type=int, nargs="+", help="sizes instead of 10k, 100k and 1M")
    options = parser.parse_args()
    sizes = options.rows or ([10_000] if options.quick else [10_000, 100_000, 1_000_000])
    clean_up_when_told_to_stop()
    table = PrintedTable(HEADER, first_width=47)
    for size in sizes:
        with tempfile.TemporaryDirectory(prefix="vector-platform-benchmark-") as name:
            for line in rows_of(Path(name), size):
                table.add(line)


if __name__ == "__main__":
    main()
