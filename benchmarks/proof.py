"""What the proof of everything costs on our side, with and without rows read whole.

Belongs here: `verify` over a lake of any size, each way in a process of its own; prints one table.
The index is a stand-in that answers from memory, so that nothing but the proof is measured; what a
backend adds, `sync.py` shows.

    python benchmarks/proof.py [--quick] [--rows N ...] [--dimension N]
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
from measuring import PrintedTable, clean_up_when_told_to_stop, measured, note
from synthetic import DIMENSION, MODEL, TENANTS, build_lake

from vector_platform.indexes.contract import Generation, RowKey, StoredRow
from vector_platform.indexes.proof.row_contents import wanted_rows
from vector_platform.indexes.proof.row_sample import SAMPLED_ROWS, whole_share
from vector_platform.indexes.proof.verify import verify
from vector_platform.indexes.proof_sample import ProofSample
from vector_platform.lake.lake import Lake

ROWS = (100_000, 1_000_000)
QUICK_ROWS = (10_000,)
HEADER = ("proof", "rows", "rows read whole", "CPU seconds", "seconds", "MiB peak")


class StandIn:
    """Answers as an index would that equals the lake; whole rows from what `learn` has kept."""

    tenants_apart = False

    def __init__(self, lake: Lake) -> None:
        self._lake = lake
        self._rows: dict[RowKey, StoredRow] = {}
        self.learning = True

    def counts(self, generation: Generation, tenants: Sequence[str]) -> dict[str, int]:
        """What the lake counts."""
        held = self._lake.count_tenants(self._lake.snapshot())
        return {tenant: held[tenant] for tenant in tenants}

    def scan(self, generation: Generation, **options: Any) -> Iterator[pa.RecordBatch]:
        """What the lake wants."""
        return self._lake.index_keys(MODEL, self._lake.snapshot())

    def whole_rows(self, generation: Generation, rows: Sequence[RowKey]) -> dict[RowKey, StoredRow]:
        """Rows that were asked for while it was learning."""
        if self.learning:
            ids = pa.table({"id": [row_id for row_id, _ in rows]})
            for batch in self._lake.index_rows(MODEL, self._lake.snapshot(), ids=ids):
                self._rows |= dict(wanted_rows(batch))
        return {key: self._rows[key] for key in rows}


def proven(folder: str, share: float, others: int) -> dict[str, Any]:
    """One proof, after one like it from which the stand-in has learnt its answers."""
    lake = Lake(folder)
    index, generation = StandIn(lake), Generation("benchmark", "g0001", MODEL, DIMENSION)

    def prove() -> int:
        whole = ProofSample(share)
        proof = verify(
            lake,
            index,  # type: ignore[arg-type]
            generation,
            lake.snapshot(),
            seed="benchmark",
            whole=whole,
            others=others,
        )
        if not proof.clean:
            raise SystemExit(f"the stand-in differs from the lake: {proof.describe()}")
        return proof.rows_compared

    prove()
    index.learning = False
    cpu, started = time.process_time(), time.perf_counter()
    compared = prove()
    seconds, cpu = time.perf_counter() - started, time.process_time() - cpu
    return {"seconds": seconds, "cpu_seconds": cpu, "compared": compared}


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
        with tempfile.TemporaryDirectory() as folder:
            note(f"building a lake of {rows:,} rows")
            build_lake(Path(folder), rows, TENANTS, options.dimension)
            for name, share, others in (
                ("ids and digests", 0.0, 0),
                ("and rows, as a nightly one", whole_share(rows, fetch_share=1.0), SAMPLED_ROWS),
            ):
                cost = measured(proven, folder, share, others)
                found = cost.result
                seconds = [f"{found[key]:.1f}" for key in ("cpu_seconds", "seconds")]
                table.add([name, f"{rows:,}", f"{found['compared']:,}", *seconds, cost.peak_mib])


if __name__ == "__main__":
    main()
