"""Our drift test beside Evidently and alibi-detect: same days, same chance of a false alarm.

Belongs here: drawing the days, running every tool on them, and the tables. Does not belong here:
the peers' code, which runs in environments of its own (`drift_peers_worker.py`), or delays over
weeks (`drift.py`): peers judge a batch and know no calendar, so one day is what can be compared.

Every tool gives a day a score. Its threshold is set on days without change, so that all tools
alarm on the same share of them; then the share of changed days above it is its power. Ours is the
score of windows of one day, against the same reference days.

    python benchmarks/drift_peers.py --data DIR [--cache DIR] [--environments DIR] [--days N]

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

from benchmarks.drift import MONDAY, REFERENCE_DAYS, ROWS, World, interval, total  # noqa: E402
from benchmarks.measuring import PrintedTable, note  # noqa: E402 (runs from any folder)
from vector_platform.quality.calendar import Calendar, Days  # noqa: E402

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

    def power(self, cell: Cell) -> float:
        """Share of the days of a cell above the threshold that clean days set."""
        threshold = np.quantile(self.scores[CLEAN], 1 - FALSE_ALARMS, method="higher")
        return float(np.mean(np.array(self.scores[cell]) > threshold))


def draw(world: World, rng: np.random.Generator, cell: Cell) -> tuple[np.ndarray, np.ndarray]:
    """A day: the sum of its features for us, its vectors for the others."""
    kind, share = cell
    foreign = int(rng.binomial(ROWS, share))
    home = rng.choice(world.rest, ROWS - foreign)
    features, vectors = world.features[home], world.vectors[home]
    if foreign:
        chosen = rng.integers(0, len(world.pools[kind]), foreign)
        features = np.concatenate([features, world.pools[kind][chosen]])
        vectors = np.concatenate([vectors, world.pool_vectors[kind][chosen]])
    return total(features), vectors


def compare(world: World, folder: Path, pythons: dict[str, Path], days: int) -> dict[str, Method]:
    """Every method's scores of the same days."""
    cells = [(kind, share) for kind in world.pools for share in SHARES]
    methods: dict[str, Method] = {}
    for number in range(REFERENCES):
        rng = np.random.default_rng([number, 77])
        reference = [draw(world, rng, CLEAN) for _ in range(REFERENCE_DAYS)]
        # Twice as many clean days as changed ones of a cell: they set every threshold.
        order = [CLEAN] * (2 * days // REFERENCES) + cells * (days // REFERENCES)
        drawn = [draw(world, rng, cell) for cell in order]
        started = time.perf_counter()
        calendar = Calendar(
            _days(MONDAY, [sums for sums, _ in reference]), world.map.blocks, windows=(1,)
        )
        looks = calendar.looks(_days(MONDAY + REFERENCE_DAYS, [sums for sums, _ in drawn]))
        scores = looks.scores[:, 0]
        ours = methods.setdefault("ours: one day", Method())
        ours.seconds += time.perf_counter() - started
        # One test of each block, no year: the chance of a day that is all a peer promises.
        tests = sum(len(block.tests) for block in world.map.blocks)
        ours.add(order, scores.tolist(), (scores >= np.log10(tests / FALSE_ALARMS)).tolist())
        rows = np.concatenate([vectors for _, vectors in reference])
        np.save(folder / "reference.npy", rng.permutation(rows)[:PEER_ROWS])
        np.save(folder / "days.npy", np.array([vectors for _, vectors in drawn]))
        for name, python in pythons.items():
            note(f"reference {number + 1} of {REFERENCES}: {name}")
            for found in _worker(python, name, folder):
                method = methods.setdefault(f"{name}: {found['method']}", Method())
                method.seconds += found["seconds"]
                method.add(order, found["scores"], found["verdicts"])
    return methods


def _days(first: int, sums: list[np.ndarray]) -> Days:
    count = len(sums)
    return Days(first + np.arange(count), np.full(count, float(ROWS)), np.array(sums))


def _worker(python: Path, name: str, folder: Path) -> list[dict]:
    script = Path(__file__).with_name("drift_peers_worker.py")
    lines = subprocess.run(
        [python, script, name, folder],
        check=True,
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"DO_NOT_TRACK": "1", "PYTHONWARNINGS": "ignore"},
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
    count = len(methods["ours: one day"].scores[CLEAN])
    low_high = interval(round(FALSE_ALARMS * count), count)
    print(f"\n{count} days without change: {FALSE_ALARMS:.0%} of them alarm ({low_high})")
    cells = [(kind, share) for share in SHARES for kind in world.pools]
    days = len(methods["ours: one day"].scores[cells[0]])
    table = PrintedTable(
        ["method", "s a day", "own rule: false alarms", *(f"{s:.0%}: all kinds" for s in SHARES)],
        first_width=28,
    )
    for name, method in methods.items():
        means = [np.mean([method.power((kind, s)) for kind in world.pools]) for s in SHARES]
        each = sum(len(scores) for scores in method.scores.values())
        own = np.mean(method.verdicts[CLEAN])
        table.add(
            [name, f"{method.seconds / each:.4f}", f"{own:.1%}", *(f"{m:.2f}" for m in means)]
        )
    for share in SHARES:
        print(f"\n{share:.0%} of the rows changed, share of {days} days seen")
        by_kind = PrintedTable(["method", *world.pools], first_width=28)
        for name, method in methods.items():
            by_kind.add([name, *(f"{method.power((kind, share)):.2f}" for kind in world.pools)])


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    variable = "VECTOR_PLATFORM_BENCH_DATA"
    temporary = Path(tempfile.gettempdir())
    parser.add_argument("--data", type=Path, default=os.environ.get(variable))
    parser.add_argument("--cache", type=Path, default=temporary / "drift-vectors")
    parser.add_argument("--environments", type=Path, default=temporary / "drift-peers")
    parser.add_argument("--days", type=int, default=100, help="changed days of a kind and share")
    options = parser.parse_args()
    if options.data is None:
        raise SystemExit(f"--data or {variable} must name the folder of the corpora")
    pythons = install(options.environments)
    world = World(options.data, options.cache)
    with tempfile.TemporaryDirectory(prefix="vector-platform-peers-") as folder:
        show(world, compare(world, Path(folder), pythons, options.days))


if __name__ == "__main__":
    main()
