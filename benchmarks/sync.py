"""The cost of change: full builds, incremental syncs and proofs, next to the raw client.

Belongs here: the sync benchmark; prints one table. Each lake is synthetic (`synthetic.py`), each
step runs in a process of its own (`measuring.py`). Servers are the embedded ones, and the full
Milvus server of the tests, on loopback and on free ports, with data in a temporary folder that
is removed at the end.

    python benchmarks/sync.py [--quick | --full] [--rows N ...] [--backend NAME ...]
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
from measuring import (
    MIB,
    Cost,
    PrintedTable,
    bytes_read,
    clean_up_when_told_to_stop,
    measured,
    note,
)
from sync_raw import INDEX, raw_step
from sync_servers import BACKENDS, open_index, serving
from synthetic import MODEL, build_lake, change

from vector_platform.indexes.contract import Generation
from vector_platform.indexes.sync.context import SyncContext
from vector_platform.indexes.sync.sync import IndexSync
from vector_platform.lake.lake import Lake
from vector_platform.lake.snapshots import Snapshot

# Rows that the best way writes before the full build; after it, all of them once more.
RAW_ROWS = 100_000
CHURN = (0.0, 0.001, 0.01)
HEADER = (
    "lake, backend, step",
    "seconds",
    "rows written",
    "rows/s",
    "rows read",
    "MiB read",
    "peak MiB",
    "ratio",
)


class CountingLake(Lake):
    """A lake that counts the rows it hands out."""

    handed_out = 0

    def index_keys(self, model_version: str, snapshot: Snapshot) -> Iterator[pa.RecordBatch]:
        """Counted keys."""
        return self._counted(super().index_keys(model_version, snapshot))

    def index_rows(
        self, model_version: str, snapshot: Snapshot, **options: Any
    ) -> Iterator[pa.RecordBatch]:
        """Counted rows."""
        return self._counted(super().index_rows(model_version, snapshot, **options))

    def index_changes(
        self, model_version: str, after: Snapshot, until: Snapshot
    ) -> tuple[pa.Table, pa.Table]:
        """Counted changes."""
        now, before = super().index_changes(model_version, after, until)
        self.handed_out += now.num_rows + before.num_rows
        return now, before

    def _counted(self, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            self.handed_out += batch.num_rows
            yield batch


# -- steps, each run in a process of its own ----------------------------------------------------


def lake_step(folder: Path, rows: int) -> None:
    build_lake(folder / "lake", rows)


def change_step(folder: Path, rows: int, share: float, edition: int) -> int:
    return change(Lake(str(folder / "lake")), rows, share, edition=edition)


def sync_step(folder: Path, backend: str, expect: str) -> dict[str, Any]:
    """One sync by the product, counted."""
    lake, target = CountingLake(str(folder / "lake")), open_index(folder, backend)
    written_at: list[float] = []
    fenced_at: list[float] = []
    fence = target.fence

    def fence_and_note(generation: Generation, **options: bool) -> None:
        fence(generation, **options)
        fenced_at.append(time.perf_counter())

    target.fence = fence_and_note  # type: ignore[method-assign]

    def progress(line: str) -> None:
        # What a proof has to put right comes after the first fence, and counts with the proof.
        if line.endswith("rows written") and not fenced_at:
            written_at.append(time.perf_counter())
        elif line.startswith("repairing"):
            note(line)

    sync = IndexSync(
        SyncContext(
            lake,
            target,
            index=INDEX,
            spec="{}",
            max_delete_share=0.1,
            lock_dir=folder / "locks",
            run_id="benchmark",
            progress=progress,
        )
    )
    lake.model_version(MODEL)  # imports are not part of a sync
    read, cpu, started = bytes_read(), time.process_time(), time.perf_counter()
    report = sync.sync(MODEL)
    seconds, cpu = time.perf_counter() - started, time.process_time() - cpu
    target.close()
    if report.mode != expect:
        raise SystemExit(f"expected a sync of mode {expect}, it was {report.mode}: {report.reason}")
    return {
        "seconds": seconds,
        "cpu_seconds": cpu,
        "written": report.upserted,
        "write_seconds": written_at[-1] - started if written_at else 0.0,
        "searchable_seconds": fenced_at[0] - started if fenced_at else 0.0,
        "rows_read": lake.handed_out,
        "bytes_read": bytes_read() - read,
    }


def verify_step(folder: Path, backend: str) -> dict[str, Any]:
    lake, target = CountingLake(str(folder / "lake")), open_index(folder, backend)
    sync = IndexSync(
        SyncContext(
            lake,
            target,
            index=INDEX,
            spec="{}",
            max_delete_share=0.1,
            lock_dir=folder / "locks",
            run_id="benchmark",
        )
    )
    state = sync.states.newest(MODEL)
    if state is None:
        raise SystemExit("there is no generation to verify")
    read, cpu, started = bytes_read(), time.process_time(), time.perf_counter()
    proof = sync.verify(state)
    seconds, cpu = time.perf_counter() - started, time.process_time() - cpu
    target.close()
    if not proof.clean:
        raise SystemExit(f"the index differs from the lake: {proof.describe()}")
    return {
        "seconds": seconds,
        "cpu_seconds": cpu,
        "rows": proof.plan.desired,
        "rows_read": lake.handed_out,
        "bytes_read": bytes_read() - read,
    }


# -- the table ----------------------------------------------------------------------------------


def rows_of(folder: Path, backend: str, rows: int) -> Iterator[list[str]]:
    """Every row of one lake on one backend."""
    label = f"{rows:,} {backend}"
    note(f"{label}: building the lake")
    measured(lake_step, folder, rows)
    note(f"{label}: raw client")
    raw = measured(raw_step, folder, backend, min(rows, RAW_ROWS), None).result
    note(f"{label}: raw ways, rows/s: {_rounded(raw['trials'])}")
    note(f"{label}: full build")
    build = measured(sync_step, folder, backend, "build")
    note(f"{label}: raw client again")
    again = measured(raw_step, folder, backend, rows, raw["best"]).result
    note(f"{label}: raw client before and after: {raw['rate']:,.0f}, {again['rate']:,.0f} rows/s")
    # A server may slow down as it fills: only as many rows as the build writes can be its bar.
    fair = [raw, again] if rows <= RAW_ROWS else [again]
    best, searchable = (max(one[name] for one in fair) for name in ("rate", "searchable"))
    yield [f"{label}, raw {raw['best']}", "", "", f"{best:,.0f}", *[""] * 3, "1.00"]
    yield [f"{label}, raw until searchable", "", "", f"{searchable:,.0f}", *[""] * 3, "1.00"]
    fact = build.result
    for name, seconds, bar in (
        ("write", fact["write_seconds"], best),
        ("until searchable", fact["searchable_seconds"], searchable),
        ("and prove", fact["seconds"], searchable),
    ):
        rate = fact["written"] / seconds
        ratio = f"{rate / bar:.2f}"
        yield _line(f"{label}, full build: {name}", build, seconds, fact["written"], rate, ratio)
    for edition, share in enumerate(CHURN, start=1):
        note(f"{label}: {share:.1%} changed")
        changed = measured(change_step, folder, rows, share, edition).result if share else 0
        cost = measured(sync_step, folder, backend, "changes" if share else "none")
        fact = cost.result
        ratio = f"{fact['written'] / changed:.2f}" if changed else ""
        yield _line(
            f"{label}, sync of {share:.1%} changed",
            cost,
            fact["seconds"],
            fact["written"],
            None,
            ratio,
        )
    note(f"{label}: verify")
    proof = measured(verify_step, folder, backend)
    fact = proof.result
    yield _line(
        f"{label}, verify", proof, fact["seconds"], None, fact["rows"] / fact["seconds"], ""
    )


def _line(
    name: str, cost: Cost, seconds: float, written: int | None, rate: float | None, ratio: str
) -> list[str]:
    return [
        name,
        f"{seconds:.2f}",
        "" if written is None else f"{written:,}",
        "" if rate is None else f"{rate:,.0f}",
        f"{cost.result['rows_read']:,}",
        f"{cost.result['bytes_read'] / MIB:,.2f}",
        cost.peak_mib,
        ratio,
    ]


def _rounded(rates: dict[str, float]) -> str:
    return ", ".join(f"{name}: {rate:,.0f}" for name, rate in rates.items())


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="2,000 rows")
    parser.add_argument("--full", action="store_true", help="1,000,000 rows as well")
    parser.add_argument("--rows", type=int, nargs="+", help="rows of the lakes instead")
    parser.add_argument("--backend", nargs="+", choices=BACKENDS)
    options = parser.parse_args()
    sizes = options.rows or (
        [2_000] if options.quick else [10_000, 100_000, *([1_000_000] if options.full else [])]
    )
    clean_up_when_told_to_stop()
    table = PrintedTable(HEADER, first_width=51)
    for size in sizes:
        for backend in options.backend or BACKENDS:
            with (
                tempfile.TemporaryDirectory(prefix="vector-platform-benchmark-") as name,
                serving(Path(name), backend),
            ):
                for row in rows_of(Path(name), backend, size):
                    table.add(row)
    print(
        "\nratio: of a full build, its rows/s to the raw client's, to those until searchable where"
        "\nthe build's are; of a sync, rows written to rows"
        "\nchanged. MiB read: from files, by the syncing process. peak MiB: of that process."
    )


if __name__ == "__main__":
    main()
