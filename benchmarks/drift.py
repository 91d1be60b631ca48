"""What the drift test is worth: false alarms a year, delay, the bound's claims, cost.

Belongs here: the drift benchmark; prints one Markdown table for each question (those about many
tenants are in `drift_slices.py`). Streams are drawn,
with replacement, from real short texts (CLINC150, ten domains, of which one is kept out as the
near domain) embedded by the project's own embedder. Vectors are kept in the cache folder, so a
second run starts at once. Every number is seeded.

    python benchmarks/drift.py --data DIR [--cache DIR] [--only NAME ...] [--full] [--runs N]
        [--first N]

`--data` (or VECTOR_PLATFORM_BENCH_DATA) is a folder that holds `clinc150/corpus.jsonl` and
`advisories/corpus.jsonl` (one JSON object a line: `text`, `metadata`).
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))
os.environ.setdefault("HF_HUB_OFFLINE", "1")

from benchmarks.drift_slices import BUDGET, cost, slices  # noqa: E402 (runs from any folder)
from benchmarks.drift_world import (  # noqa: E402
    MONDAY,
    REFERENCE_DAYS,
    ROWS,
    World,
    interval,
    joined,
)
from benchmarks.measuring import PrintedTable, note  # noqa: E402
from vector_platform.quality.drift.novel_share import novel_share_low  # noqa: E402
from vector_platform.quality.drift.window_test import Calendar  # noqa: E402
from vector_platform.quality.sketches.days import YEAR  # noqa: E402

SHARES = (0.03, 0.05, 0.1, 0.2)
WAIT = 35
CLEAN = 28


# -- questions ------------------------------------------------------------------------------


def false_alarms(world: World, runs: range) -> None:
    """Years without change, each with a reference of its own, looked at every day."""
    table = PrintedTable(
        [
            "days",
            "reference days",
            "stream-years",
            "with an alarm",
            "95 % interval",
            "at a 5 % budget",
        ],
        first_width=34,
    )
    for habits, name in ((False, "independent"), (True, "topic wobble and weekly cycle")):
        for reference_days in (REFERENCE_DAYS, 28):
            years = runs if reference_days == REFERENCE_DAYS else runs[: len(runs) // 2]
            count = len(years)
            alarms = loose = 0
            for run in years:
                rng = np.random.default_rng([run, habits, reference_days])
                days = world.days(rng, reference_days + YEAR, habits=habits)
                reference = days.between(MONDAY, MONDAY + reference_days - 1)
                calendar = Calendar(reference, world.map.blocks)
                largest = calendar.looks(days).scores.max()
                alarms += bool(largest >= calendar.null.threshold(BUDGET))
                loose += bool(largest >= calendar.null.threshold(0.05))
            table.add(
                [
                    name,
                    str(reference_days),
                    f"{count:,}",
                    f"{alarms} ({alarms / count:.1%})",
                    interval(alarms, count),
                    f"{loose} ({loose / count:.1%})",
                ]
            )


def delay(world: World, runs: range) -> None:
    """Days until the alarm: median, and the 95 % slowest; share found within the wait."""
    for habits in (False, True):
        days = "topic wobble and weekly cycle" if habits else "independent days"
        print(f"\n{days}, {REFERENCE_DAYS} reference days, {ROWS} rows a day", end="")
        print(f", {len(runs)} runs each")
        table = PrintedTable(
            ["kind", *(f"{share:.0%}: median / 95 % / found" for share in SHARES)], first_width=12
        )
        for kind in world.pools:
            cells = [kind]
            for share in SHARES:
                waits = [
                    wait_of(world, kind, share, run, REFERENCE_DAYS, habits=habits) for run in runs
                ]
                cells.append(_waits(waits))
            table.add(cells)


def reference_days(world: World, runs: range) -> None:
    """What a longer reference buys."""
    lengths = (28, 56, 84, 112)
    table = PrintedTable(["10 % of", *(f"{length} days" for length in lengths)], first_width=12)
    for kind in ("near domain", "topic share", "typos"):
        table.add(
            [
                kind,
                *(
                    _waits([wait_of(world, kind, 0.1, run, n, habits=False) for run in runs])
                    for n in lengths
                ),
            ]
        )


def wait_of(
    world: World, kind: str, share: float, run: int, reference_days: int, *, habits: bool
) -> float:
    """Days until the alarm; infinite when there is none. Before it, four weeks are clean."""
    rng = np.random.default_rng([run, round(share * 1000), reference_days, habits])
    start = reference_days + CLEAN
    days = joined(
        world.days(rng, start, habits=habits),
        world.shifted(rng, WAIT, kind, share, first=start, habits=habits),
    )
    calendar = Calendar(days.between(MONDAY, MONDAY + reference_days - 1), world.map.blocks)
    looks = calendar.looks(days)
    alarms = (looks.scores >= calendar.null.threshold(BUDGET)).any(axis=1)
    late = looks.dates[alarms & (looks.dates >= MONDAY + start)]
    return float(late[0] - MONDAY - start + 1) if len(late) else np.inf


def _waits(waits: list[float]) -> str:
    found = np.mean(np.isfinite(waits))
    middle, slow = np.quantile(waits, [0.5, 0.95], method="higher")
    shown = ["-" if np.isinf(value) else f"{value:.0f}" for value in (middle, slow)]
    return f"{shown[0]} / {shown[1]} / {found:.0%}"


def bound(world: World, runs: range) -> None:
    """How often the bound on novel share claims more than there is, and how much it dares."""
    places = {name: world.map.columns[name] for name in ("events", "cells")}
    table = PrintedTable(
        ["kind", "share", "wrong claims", "1 day: median", "7 days: median", "28 days: median"],
        first_width=12,
    )
    for kind in world.pools:
        for share in (0.0, 0.1, 0.2, 0.4):
            lows: dict[int, list[float]] = {1: [], 7: [], 28: []}
            for run in runs:
                rng = np.random.default_rng([run, 7, round(share * 100)])
                reference = world.days(rng, REFERENCE_DAYS, habits=True)
                for width, found in lows.items():
                    window = world.shifted(
                        rng, width, kind, share, first=REFERENCE_DAYS, habits=True
                    )
                    found.append(novel_share_low(reference, window, **places))
            wrong = sum(low > share for found in lows.values() for low in found)
            medians = [f"{np.median(found):.3f}" for found in lows.values()]
            table.add([kind, f"{share:.0%}", f"{wrong} of {3 * len(runs)}", *medians])


QUESTIONS: dict[str, tuple[Callable[[World, range], None], int, int]] = {
    # Name -> (question, runs when quick, runs in full).
    "false_alarms": (false_alarms, 200, 2000),
    "delay": (delay, 20, 200),
    "reference_days": (reference_days, 20, 200),
    "bound": (bound, 10, 100),
    "slices": (slices, 10, 100),
    "cost": (cost, 10, 100),
}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    variable = "VECTOR_PLATFORM_BENCH_DATA"
    parser.add_argument("--data", type=Path, default=os.environ.get(variable))
    parser.add_argument("--cache", type=Path, default=Path(tempfile.gettempdir()) / "drift-vectors")
    parser.add_argument("--only", nargs="*", choices=list(QUESTIONS), default=list(QUESTIONS))
    parser.add_argument("--full", action="store_true", help="ten times the runs")
    parser.add_argument("--runs", type=int, help="runs of every question")
    parser.add_argument("--first", type=int, default=0, help="first run: its number is its seed")
    options = parser.parse_args()
    if options.data is None:
        raise SystemExit(f"--data or {variable} must name the folder of the corpora")
    world = World(options.data, options.cache)
    for name in options.only:
        question, quick, full = QUESTIONS[name]
        started = time.perf_counter()
        print(f"\n## {name}: {question.__doc__}\n", flush=True)
        runs = options.runs or (full if options.full else quick)
        question(world, range(options.first, options.first + runs))
        note(f"{name}: {time.perf_counter() - started:.0f} s")


if __name__ == "__main__":
    main()
