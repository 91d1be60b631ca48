"""Questions of the drift benchmark about many tenants: one that moves, and what all of them cost.

Belongs here: `slices` and `cost` of `drift.py`.
"""

from __future__ import annotations

import tempfile
import time
from datetime import date, timedelta
from itertools import product

import numpy as np
import pyarrow as pa

from benchmarks.drift_world import MONDAY, REFERENCE_DAYS, World, joined
from benchmarks.measuring import PrintedTable
from vector_platform.lake.contract import DRIFT_SKETCHES
from vector_platform.lake.lake import Lake
from vector_platform.quality.drift.policy import DriftPolicy
from vector_platform.quality.drift.slice_alarms import SliceAlarm, alarmed_slices
from vector_platform.quality.drift.window_test import Calendar
from vector_platform.quality.sketches.days import YEAR, Days
from vector_platform.quality.sketches.references import Reference
from vector_platform.quality.sketches.series import Series, read_series

# False alarms a year.
BUDGET = 0.01
# Tenants of a stream, and the rows a day of each; every one wobbles by itself.
TENANTS, TENANT_ROWS = 20, 50
SLICE_KINDS = ("far domain", "near domain", "HTML debris")
SLICE_SHARES = (0.1, 0.3)
SLICE_DAYS = (3, 14)


def slices(world: World, runs: range) -> None:
    """One tenant of many changes: is it found and acted on, is any other, what do bounds claim?"""
    policy = DriftPolicy()
    table = PrintedTable(
        ["kind", "share", "days", "found", "acted on", "bound: median", "wrong bounds", "others"],
        first_width=12,
    )
    for kind, share in (("far domain", 0.0), *product(SLICE_KINDS, SLICE_SHARES)):
        for days in SLICE_DAYS:
            verdicts = [one_moved(world, kind, share, days, run, policy) for run in runs]
            mine = [one for found in verdicts for one in found if one.tenant == "t0" and share]
            others = sum(len(found) for found in verdicts) - len(mine)
            wrong = sum(
                one.novel_share_low > (share if one.tenant == "t0" else 0)
                for found in verdicts
                for one in found
            )
            middle = f"{np.median([one.novel_share_low for one in mine]):.3f}" if mine else "-"
            table.add(
                [
                    kind if share else "none",
                    f"{share:.0%}",
                    str(days),
                    f"{len(mine)} of {len(runs)}",
                    str(sum(one.acts for one in mine)),
                    middle,
                    f"{wrong} of {len(mine) + others}",
                    str(others),
                ]
            )


def one_moved(
    world: World, kind: str, share: float, days: int, run: int, policy: DriftPolicy
) -> tuple[SliceAlarm, ...]:
    """Tenants that alarm on the last of some days on which the first of them has changed."""
    rng = np.random.default_rng([run, 11, round(share * 1000), days])
    found = {}
    for number in range(TENANTS):
        calm = world.days(rng, REFERENCE_DAYS, habits=True, a_day=TENANT_ROWS)
        newest = world.shifted(
            rng,
            days,
            kind,
            0.0 if number else share,
            first=REFERENCE_DAYS,
            habits=True,
            a_day=TENANT_ROWS,
        )
        found[f"t{number}", "s"] = joined(calm, newest)
    every = list(found.values())
    whole = Days(every[0].dates, sum(d.rows for d in every), sum(d.sums for d in every))
    first, last = (
        date(1970, 1, 1) + timedelta(days=MONDAY + day) for day in (0, REFERENCE_DAYS - 1)
    )
    reference = Reference("m.v1", 1, first, last, world.map, (), "benchmark", "")
    return alarmed_slices(Series(whole, found), reference, policy)[0]


def cost(world: World, runs: range) -> None:
    """Seconds of a thousand tenants' year, and of ten thousand rows."""
    table = PrintedTable(["what", "seconds"], first_width=60)
    rows = np.random.default_rng(0).integers(0, len(world.texts), 10_000)
    vectors = world._embedded(world.texts)[rows]
    texts = [world.texts[row] for row in rows]
    waited, worked = [], []
    for _ in range(15):
        started, busy = time.perf_counter(), time.process_time()
        world.map(vectors, texts)
        waited.append(time.perf_counter() - started)
        worked.append(time.process_time() - busy)
    table.add(["10,000 rows x 384 to features", f"{np.median(waited):.3f}"])
    table.add(["  CPU", f"{np.median(worked):.3f}"])
    table.add([f"bytes of a sketch: {world.map.size * 8 + 8:,}", ""])
    tenants = 1000 if len(runs) > 20 else 100
    with tempfile.TemporaryDirectory() as folder:
        lake = Lake(folder)
        for start in range(0, tenants, 50):
            lake.drift_sketches.append(audited(world, range(start, min(start + 50, tenants))))
        started, busy = time.perf_counter(), time.process_time()
        series = read_series(lake, "m.v1", world.map.version)
        read = time.perf_counter() - started
        judged = 0
        for days in series.slices.values():
            calendar = Calendar(days.between(MONDAY, MONDAY + REFERENCE_DAYS - 1), world.map.blocks)
            judged += calendar.looks(days).scores.size
            calendar.null.threshold(BUDGET)
        spent = time.perf_counter() - started
        cpu = time.process_time() - busy
    table.add(
        [f"{tenants:,} tenants x 365 days, {judged:,} windows, no vector read", f"{spent:.1f}"]
    )
    table.add(["  of it reading the sketches", f"{read:.1f}"])
    table.add(["  CPU", f"{cpu:.1f}"])


def audited(world: World, tenants: range) -> pa.Table:
    """A year of sketches of some tenants."""
    rows = []
    for tenant in tenants:
        rng = np.random.default_rng([tenant, 3])
        noise = rng.standard_normal((YEAR, world.map.size)) * np.sqrt(20)
        mean = world.features[world.rest[:2000]].mean(axis=0)
        for day in range(YEAR):
            sums = np.maximum(20 * mean + noise[day] * 0.2, 0)
            rows.append(
                {
                    "model_version": "m.v1",
                    "day": date(1970, 1, 1) + timedelta(days=MONDAY + day),
                    "tenant": f"t{tenant:04d}",
                    "source": "s",
                    "map_version": world.map.version,
                    "rows": 20,
                    "sums": sums,
                }
            )
    return pa.Table.from_pylist(rows, schema=DRIFT_SKETCHES.schema)
