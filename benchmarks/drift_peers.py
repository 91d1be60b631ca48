"""Our drift test beside Evidently and alibi-detect: same days, same chance of a false alarm.

Belongs here: drawing the days, running every tool on them, and the tables.

Every tool gives a day a score. Its threshold is set on days without change, so that all tools
alarm on the same share of them; then the share of changed days above it is its power. Ours is the
score of windows of one day, against the same reference days.

    python benchmarks/drift_peers.py --data DIR [--cache DIR] [--environments DIR]
        [--worlds alike habits] [--methods NAME ...] [--days N] [--clean N]

Each peer is installed with pip at a fixed version below `--environments`, once.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from benchmarks.drift_world import MONDAY, REFERENCE_DAYS, ROWS, World, interval, total  # noqa: E402
from benchmarks.measuring import PrintedTable, note  # noqa: E402 (runs from any folder)
from vector_platform.quality.drift.window_test import Calendar  # noqa: E402
from vector_platform.quality.sketches.days import Days  # noqa: E402

# What pip installs for each peer, in turn; torch first, or alibi-detect brings GPU libraries.
PEERS = {
    "evidently": (["evidently==0.7.23", "pandas==2.3.3", "numpy==2.4.6"],),
    "alibi-detect": (
        ["torch==2.13.0", "numpy==1.26.4"],
        ["alibi-detect==0.13", "numpy==1.26.4", "pandas==2.3.3"],
    ),
}
SHARES = (0.05, 0.1)
# References drawn; each has a part of the days.
REFERENCES = 4
# Rows of the reference that a peer is given: its cost grows with them.
PEER_ROWS = 5000
FALSE_ALARMS = 0.05
CLEAN = ("none", 0.0)
Cell = tuple[str, float]
WORLDS = {"alike": "days that are alike", "habits": "topic wobble and a weekly cycle"}
OURS = "ours: one day"
# Peers see vectors, we see the text as well: how much of the power is that?
WITHOUT_TEXT = "ours: without text"
PEER_METHODS = {
    "evidently": ["model", "distance", "ratio", "ratio, 50 components", "mmd, 1000 rows"],
    "alibi-detect": ["KS", "KS, 32 components", "classifier", "MMD, 1000 rows"],
}


@dataclass
class Method:
    """One way of judging a day: its scores by kind and share of change, and its own verdicts."""

    scores: dict[Cell, list[float]] = field(default_factory=dict)
    verdicts: dict[Cell, list[bool]] = field(default_factory=dict)
    seconds: float = 0.0

    def add(self, cells: list[Cell], scores: list[float], verdicts: list[bool]) -> None:
        """Scores and verdicts of days, in the order of the days."""
        for cell, score, verdict in zip(cells, scores, verdicts, strict=True):
            self.scores.setdefault(cell, []).append(score)
            self.verdicts.setdefault(cell, []).append(verdict)

    def power(self, cells: list[Cell]) -> float:
        """Share of the days of some cells above the threshold that clean days set."""
        threshold = np.quantile(self.scores[CLEAN], 1 - FALSE_ALARMS, method="higher")
        return float(np.mean([score > threshold for cell in cells for score in self.scores[cell]]))

    def found(self, cells: list[Cell]) -> float:
        """Share of the days of some cells on which the method alarms by its own rule."""
        return float(np.mean([own for cell in cells for own in self.verdicts[cell]]))


def draw(
    world: World, rng: np.random.Generator, cell: Cell, rows: int, weekday: int | None
) -> tuple[np.ndarray, np.ndarray]:
    """Features and vectors of a day's rows."""
    kind, share = cell
    foreign = int(rng.binomial(rows, share))
    home = world.drawn(rng, rows - foreign, weekday=weekday)
    features, vectors = world.features[home], world.vectors[home]
    if foreign:
        chosen = rng.integers(0, len(world.pools[kind]), foreign)
        features = np.concatenate([features, world.pools[kind][chosen]])
        vectors = np.concatenate([vectors, world.pool_vectors[kind][chosen]])
    return features, vectors


def compare(
    world: World, folder: Path, pythons: dict[str, Path], options: argparse.Namespace, habits: bool
) -> dict[str, Method]:
    """Every method's scores of the same days."""
    cells = [(kind, share) for kind in world.pools for share in SHARES]
    order = [CLEAN] * (options.clean // REFERENCES) + cells * (options.days // REFERENCES)
    methods: dict[str, Method] = {}
    for number in range(REFERENCES):
        rng = np.random.default_rng([number, 77, habits])
        # Weekends of the reference hold half the rows; a judged day holds as many as any other.
        reference, drawn = (
            [
                draw(world, rng, cell, rows, day % 7 if habits else None)
                for day, (cell, rows) in enumerate(days)
            ]
            for days in (
                [
                    (CLEAN, ROWS // 2 if habits and day % 7 >= 5 else ROWS)
                    for day in range(REFERENCE_DAYS)
                ],
                [(cell, ROWS) for cell in order],
            )
        )
        known = _days(MONDAY, [features for features, _ in reference])
        judged = _days(MONDAY + REFERENCE_DAYS, [features for features, _ in drawn])
        for name in (OURS, WITHOUT_TEXT):
            blocks = [b for b in world.map.blocks if name == OURS or b.name != "text"]
            started = time.process_time()
            calendar = Calendar(known, tuple(blocks), windows=(1,))
            scores = calendar.looks(judged).scores[:, 0]
            ours = methods.setdefault(name, Method())
            ours.seconds += time.process_time() - started
            # One test of each block, no year: the chance of a day that is all a peer promises.
            tests = sum(len(block.tests) for block in blocks)
            own = scores >= np.log10(tests / FALSE_ALARMS)
            ours.add(order, scores.tolist(), own.tolist())
        rows = np.concatenate([vectors for _, vectors in reference])
        np.save(folder / "reference.npy", rng.permutation(rows)[:PEER_ROWS])
        np.save(folder / "days.npy", np.array([vectors for _, vectors in drawn]))
        for name, python in pythons.items():
            asked = [m for m in PEER_METHODS[name] if m in options.methods]
            note(f"reference {number + 1} of {REFERENCES}: {name}")
            for found in _worker(python, name, folder, asked):
                method = methods.setdefault(f"{name}: {found['method']}", Method())
                method.seconds += found["seconds"]
                method.add(order, found["scores"], found["verdicts"])
    return methods


def _days(first: int, drawn: list[np.ndarray]) -> Days:
    rows = np.array([float(len(features)) for features in drawn])
    sums = np.array([total(features) for features in drawn])
    return Days(first + np.arange(len(drawn)), rows, sums)


def _worker(python: Path, name: str, folder: Path, methods: list[str]) -> list[dict]:
    script = Path(__file__).with_name("drift_peers_worker.py")
    lines = subprocess.run(
        [python, script, name, folder, *methods],
        check=True,
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"DO_NOT_TRACK": "1", "PYTHONWARNINGS": "ignore", "OMP_NUM_THREADS": "1"},
    ).stdout
    return [json.loads(line) for line in lines.splitlines() if line.startswith("{")]


def install(folder: Path) -> dict[str, Path]:
    """The python of each peer's environment, made where it is missing."""
    pythons = {}
    for name, steps in PEERS.items():
        home = folder / name
        pythons[name] = home / "bin" / "python"
        if (home / "ready").exists():
            continue
        note(f"installing {name}")
        subprocess.run([sys.executable, "-m", "venv", "--clear", home], check=True)
        for packages in steps:
            subprocess.run([pythons[name], "-m", "pip", "install", "-q", *packages], check=True)
        (home / "ready").touch()
    return pythons


def show(world: World, methods: dict[str, Method]) -> None:
    """What each method says by its own rule, and what it sees at the same false alarms."""
    count = len(methods[OURS].scores[CLEAN])
    low_high = interval(round(FALSE_ALARMS * count), count)
    print(f"\n{count} days without change: {FALSE_ALARMS:.0%} of them alarm ({low_high})\n")
    every = [[(kind, share) for kind in world.pools] for share in SHARES]
    names = [f"{share:.0%}, all kinds" for share in SHARES]
    table = PrintedTable(
        ["method", "CPU s a day", "own rule: false alarms", *names, *names], first_width=34
    )
    for name, method in methods.items():
        each = sum(len(scores) for scores in method.scores.values())
        own = [method.found([CLEAN]), *map(method.found, every)]
        equal = [f"{method.power(cells):.2f}" for cells in every]
        table.add(
            [name, f"{method.seconds / each:.4f}", *(f"{share:.2f}" for share in own), *equal]
        )
    for share in SHARES:
        days = len(methods[OURS].scores[next(iter(world.pools)), share])
        print(f"\n{share:.0%} of the rows changed, share of {days} days seen\n")
        by_kind = PrintedTable(["method", *world.pools], first_width=34)
        for name, method in methods.items():
            by_kind.add([name, *(f"{method.power([(kind, share)]):.2f}" for kind in world.pools)])
        best = [
            max(m.power([(kind, share)]) for name, m in methods.items() if "ours" not in name)
            for kind in world.pools
        ]
        mine = [methods[OURS].power([(kind, share)]) for kind in world.pools]
        ratios = [f"{m / b:.1f}" if b else "-" for m, b in zip(mine, best, strict=True)]
        by_kind.add(["ours / the best peer of the kind", *ratios])


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    variable = "VECTOR_PLATFORM_BENCH_DATA"
    temporary = Path(tempfile.gettempdir())
    parser.add_argument("--data", type=Path, default=os.environ.get(variable))
    parser.add_argument("--cache", type=Path, default=temporary / "drift-vectors")
    parser.add_argument("--environments", type=Path, default=temporary / "drift-peers")
    parser.add_argument("--worlds", nargs="*", choices=list(WORLDS), default=list(WORLDS))
    every = [method for methods in PEER_METHODS.values() for method in methods]
    parser.add_argument("--methods", nargs="*", choices=every, default=every, metavar="NAME")
    parser.add_argument("--days", type=int, default=40, help="changed days of a kind and share")
    parser.add_argument("--clean", type=int, default=240, help="days without change")
    options = parser.parse_args()
    if options.data is None:
        raise SystemExit(f"--data or {variable} must name the folder of the corpora")
    pythons = install(options.environments)
    world = World(options.data, options.cache)
    with tempfile.TemporaryDirectory(prefix="vector-platform-peers-") as folder:
        for name in options.worlds:
            print(f"\n## {WORLDS[name]}", flush=True)
            show(world, compare(world, Path(folder), pythons, options, name == "habits"))


if __name__ == "__main__":
    main()
