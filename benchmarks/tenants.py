"""Many small tenants beside few large ones: build, churn, proof and search of as many rows.

Belongs here: the tenants benchmark; prints one table. Does not belong here: the steps, the servers
(`sync.py`) and the lakes (`synthetic.py`).

    python benchmarks/tenants.py [--quick] [--backend NAME ...]
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from measuring import PrintedTable, clean_up_when_told_to_stop, measured, note
from sync import BACKENDS, INDEX, open_index, serving, sync_step, verify_step
from synthetic import DIMENSION, MODEL, build_lake, change

from vector_platform.indexes.state import IndexStates
from vector_platform.lake.lake import Lake

ROWS_MANY, ROWS_FEW = 4, 400
CHANGED = 200
SEARCHES = 20
# What many tenants may cost, in times of what few do.
BAR = 3.0


def lake_step(folder: Path, tenants: int, rows: int) -> None:
    build_lake(folder / "lake", rows, tenants)


def change_step(folder: Path, tenants: int, rows: int) -> None:
    share = CHANGED / rows
    change(Lake(str(folder / "lake")), rows, share, edition=1, tenants=tenants)


def search_step(folder: Path, backend: str) -> dict[str, Any]:
    """A search of all tenants: the middle of several."""
    lake, target = Lake(str(folder / "lake")), open_index(folder, backend)
    state = IndexStates(lake.index_state, target.backend, INDEX).newest(MODEL)
    if state is None:
        raise SystemExit("there is no generation to search")
    seconds = []
    for probe in np.random.default_rng(1).normal(size=(SEARCHES, DIMENSION)):
        started = time.perf_counter()
        target.search(state.identity, probe / np.linalg.norm(probe), k=10)
        seconds.append(time.perf_counter() - started)
    target.close()
    return {"seconds": median(seconds)}


def costs(backend: str, tenants: int, rows: int) -> dict[str, float]:
    """Seconds of each step, on a server of its own."""
    found = {}
    with (
        tempfile.TemporaryDirectory(prefix="vector-platform-benchmark-") as name,
        serving(Path(name), backend),
    ):
        folder = Path(name)
        measured(lake_step, folder, tenants, rows)
        label = f"{backend}, {tenants:,} tenants of {rows // tenants}"
        for step, call in (
            ("build", (sync_step, folder, backend, "build")),
            ("churn", (sync_step, folder, backend, "changes")),
            ("proof", (verify_step, folder, backend)),
            ("search of all", (search_step, folder, backend)),
        ):
            if step == "churn":
                measured(change_step, folder, tenants, rows)
            found[step] = measured(*call).result["seconds"]
            note(f"{label}, {step}: {found[step]:.3f} s")
    return found


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="a tenth of the rows")
    parser.add_argument("--backend", nargs="+", choices=BACKENDS)
    options = parser.parse_args()
    clean_up_when_told_to_stop()
    rows = 2_000 if options.quick else 20_000
    many, few = rows // ROWS_MANY, rows // ROWS_FEW
    table = PrintedTable(
        (
            "backend, step",
            f"{few:,} tenants of {ROWS_FEW}, s",
            f"{many:,} tenants of {ROWS_MANY}, s",
            "times",
            f"bar {BAR:.0f}",
        ),
        first_width=30,
    )
    for backend in options.backend or BACKENDS:
        large, small = costs(backend, few, rows), costs(backend, many, rows)
        for step, seconds in large.items():
            times = small[step] / seconds
            table.add(
                (
                    f"{backend}, {step}",
                    f"{seconds:.3f}",
                    f"{small[step]:.3f}",
                    f"{times:.2f}",
                    "met" if times <= BAR else "not met",
                )
            )
    print(f"\nchurn: a sync of {CHANGED} changed rows. search of all: one without a tenant, k 10.")


if __name__ == "__main__":
    main()
