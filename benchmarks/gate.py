"""How often the quality gate lets a worse model through, and how often a good one.

Belongs here: the simulation of the gate; prints one table. Per-query differences are drawn from
two worlds with the spread of real nDCG@10 differences (0.115): normal ones, and ones as rankings
make them, where most queries do not change and the others move by the steps of nDCG. The gate is
the platform's own (`quality.noninferiority`), called once a draw.

    python benchmarks/gate.py [--quick] [--gates N] [--first N] [--margin M]
"""

from __future__ import annotations

import argparse
import hashlib
import os
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from functools import partial

import numpy as np
from measuring import PrintedTable, clean_up_when_told_to_stop, note

from vector_platform.quality.noninferiority import not_inferior, queries_needed

DEVIATION = 0.115
GATES = 10_000
QUICK_GATES = 1_000
MARGIN = 0.02
# Scores that nDCG@10 takes with one relevant document, and how often a query moves at all.
STEPS = 1 / np.log2(np.arange(2, 12))
MOVED = 0.25
HEADER = ("world, true difference, queries", "gates", "pass", "undecided", "fail", "95 % interval")
# Gates of one task of a worker.
BLOCK = 50

World = Callable[[np.random.Generator, int, float], np.ndarray]


def normal(rng: np.random.Generator, queries: int, mean: float) -> np.ndarray:
    """Differences that are normal."""
    return rng.normal(mean, DEVIATION, queries)


def ranked(rng: np.random.Generator, queries: int, mean: float) -> np.ndarray:
    """Differences of rankings: zero for most queries, steps of nDCG for the others.

    A loss comes from more queries that fall than rise, so the differences are skewed.
    """
    moves = STEPS[rng.integers(0, 10, (queries, 2))] - STEPS[rng.integers(0, 10, (queries, 2))]
    size = np.abs(moves[:, 0])
    scale = DEVIATION / np.sqrt(MOVED * _SQUARE)
    tilt = mean / (MOVED * _SIZE * scale)
    sign = np.where(rng.random(queries) < (1 + tilt) / 2, 1.0, -1.0)
    return np.asarray((rng.random(queries) < MOVED) * sign * size * scale)


_PAIRS = np.abs(STEPS[:, None] - STEPS[None, :])
_SIZE, _SQUARE = float(_PAIRS.mean()), float((_PAIRS**2).mean())
WORLDS: dict[str, World] = {"normal": normal, "ranked": ranked}


def outcomes(world: str, mean: float, queries: int, margin: float, block: int) -> Counter[str]:
    """Outcomes of a block of gates."""
    rng = np.random.default_rng([block, queries, round(-mean * 1e6), len(world)])
    names = [f"q{number:05d}" for number in range(queries)]
    champion = dict.fromkeys(names, 0.5)
    found: Counter[str] = Counter()
    for _ in range(BLOCK):
        differences = WORLDS[world](rng, queries, mean)
        challenger = dict(zip(names, (0.5 + differences).tolist(), strict=True))
        answer = not_inferior(champion, challenger, {}, margin=margin, slice_margin=1.0)
        found[answer.outcome] += 1
    return found


def interval(count: int, total: int) -> str:
    """Clopper-Pearson interval of a share."""
    from scipy.stats import beta

    low = float(beta.ppf(0.025, count, total - count + 1)) if count else 0.0
    high = float(beta.ppf(0.975, count + 1, total - count)) if count < total else 1.0
    return f"{low:.2%} to {high:.2%}"


def main() -> None:
    """Print the table."""
    clean_up_when_told_to_stop()
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help=f"{QUICK_GATES:,} gates a row")
    parser.add_argument("--gates", type=int, help="gates a row")
    parser.add_argument("--first", type=int, default=0, help="first block of gates: a seed")
    parser.add_argument("--processes", type=int, default=os.cpu_count())
    parser.add_argument("--margin", type=float, default=MARGIN)
    options = parser.parse_args()
    gates = options.gates or (QUICK_GATES if options.quick else GATES)
    margin: float = options.margin
    needed = queries_needed(DEVIATION, margin)
    note(f"{needed} queries are stated for a margin of {margin:g} at a deviation of {DEVIATION}")
    table = PrintedTable(HEADER, first_width=34)
    rows = [(w, mean, n) for w in WORLDS for mean, n in ((-margin, needed), (0.0, needed))]
    rows += [("ranked", -margin, needed // 4), ("ranked", 0.0, needed // 4)]
    seen = hashlib.sha256()
    with ProcessPoolExecutor(options.processes) as pool:
        for world, mean, queries in rows:
            play = partial(outcomes, world, mean, queries, margin)
            blocks = range(options.first, options.first + gates // BLOCK)
            total = sum(pool.map(play, blocks), Counter())
            count = sum(total.values())
            shares = [f"{total[name] / count:.2%}" for name in ("pass", "undecided", "fail")]
            row = [f"{world}, {mean:+.3f}, {queries}", f"{count:,}", *shares]
            table.add([*row, interval(total["pass"], count)])
            seen.update(repr(sorted(total.items())).encode())
    note(f"sha256 of the counts: {seen.hexdigest()[:16]}")


if __name__ == "__main__":
    main()
