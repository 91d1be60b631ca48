"""What it costs to judge an index by exact search over the lake, and whether the answer is right.

Belongs here: choosing the queries, exact neighbours and recall over a lake of any size, each in a
process of its own; prints one table. No index is asked: the answers that are judged are the exact
ones with a known share replaced, so the recall that has to come out is known, and another one
ends the script.

    python benchmarks/index_recall.py [--quick] [--rows N ...] [--dimension N]
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from measuring import PrintedTable, clean_up_when_told_to_stop, measured, note
from synthetic import DIMENSION, MODEL, TENANTS, build_lake

from vector_platform.lake.lake import Lake
from vector_platform.quality.exact import exact_top_k
from vector_platform.quality.recall.exact_recall import recall_of
from vector_platform.quality.recall.index_queries import IndexQueries, stored_queries
from vector_platform.quality.recall.index_recall import TOP_K

ROWS = (100_000, 1_000_000)
QUICK_ROWS = (10_000,)
# All vectors are older than this.
BUILT_AT = datetime(2027, 1, 1, tzinfo=UTC)
MISSED = 0.1
NOT_STORED = "synthetic:none#0"
HEADER = ("step", "rows", "queries", "seconds", "rows/s", "MiB peak")

Answers = list[list[str]]


def choose(folder: str) -> IndexQueries:
    """Stored vectors of every tenant."""
    lake = Lake(folder)
    return stored_queries(lake, MODEL, lake.snapshot(), built_at=BUILT_AT)


def neighbours(folder: str, queries: IndexQueries) -> Answers:
    """The exact neighbours of each query, but the row that it is the vector of."""
    lake = Lake(folder)
    found = exact_top_k(
        lake, MODEL, lake.snapshot(), queries.vectors, k=TOP_K + 1, tenants=queries.tenants
    )
    return [
        [row for row in (f"{each.doc_id}#0" for each in one) if row != own][:TOP_K]
        for one, own in zip(found, queries.own_ids, strict=True)
    ]


def judged(folder: str, queries: IndexQueries, answers: Answers) -> list[float]:
    """Recall of each answer."""
    lake = Lake(folder)
    return recall_of(lake, MODEL, lake.snapshot(), queries, answers, k=TOP_K)[:, -1].tolist()


def measure(table: PrintedTable, rows: int, dimension: int) -> None:
    """The steps on a lake of so many rows."""
    with tempfile.TemporaryDirectory() as folder:
        note(f"building a lake of {rows:,} rows")
        build_lake(Path(folder), rows, TENANTS, dimension)
        chosen = measured(choose, folder)
        queries: IndexQueries = chosen.result
        exact = measured(neighbours, folder, queries)
        kept = np.random.default_rng(0).random((len(exact.result), TOP_K)) >= MISSED
        answers = [
            [row if keep else NOT_STORED for row, keep in zip(one, keeps, strict=True)]
            for one, keeps in zip(exact.result, kept, strict=True)
        ]
        recall = measured(judged, folder, queries, answers)
    for name, cost in (
        ("choose queries", chosen),
        (f"exact {TOP_K} nearest documents", exact),
        ("recall of answers", recall),
    ):
        per_second = f"{rows / cost.seconds:,.0f}"
        count = f"{len(queries.tenants):,}"
        table.add([name, f"{rows:,}", count, f"{cost.seconds:.1f}", per_second, cost.peak_mib])
    if not np.allclose(recall.result, kept.mean(axis=1)):
        sys.exit("the recall that was measured is not the share that was kept")


def main() -> None:
    """Print the table."""
    clean_up_when_told_to_stop()
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help=f"{QUICK_ROWS[0]:,} rows")
    parser.add_argument("--rows", type=int, nargs="+", help="sizes of the lake")
    parser.add_argument("--dimension", type=int, default=DIMENSION, help="of the vectors")
    options = parser.parse_args()
    table = PrintedTable(HEADER, first_width=28)
    for rows in options.rows or (QUICK_ROWS if options.quick else ROWS):
        measure(table, rows, options.dimension)


if __name__ == "__main__":
    main()
