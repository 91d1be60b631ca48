"""How often the quality gate lets a worse model through, and how often a good one.

Belongs here: the simulation of the gate; prints one table. Per-query differences are drawn from
worlds in which a model may be worse by the margin: normal ones and ones as rankings make them,
with the spread of real nDCG@10 differences (0.115); few queries that lose all or half of what
there is to lose while all others stay or gain a little; two halves that move apart. The gate is
the platform's own (`quality.noninferiority`), called once a draw. Beside it stand the tests that
it was chosen from, on the same draws: Student's t, randomisation by sign flips, and a betting
bound (Waudby-Smith and Ramdas, 2024).

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

from vector_platform.quality.retrieval.noninferiority import not_inferior, queries_needed
from vector_platform.quality.statistics import sign_flip_p_value

DEVIATION = 0.115
GATES = 10_000
QUICK_GATES = 1_000
MARGIN = 0.02
# Scores that nDCG@10 takes with one relevant document, and how often a query moves at all.
STEPS = 1 / np.log2(np.arange(2, 12))
MOVED = 0.25
HEADER = (
    "world, true difference, queries",
    "gates",
    "pass",
    "undecided",
    "fail",
    "pass, 95 % interval",
    "t would pass",
    "sign flips",
    "betting",
)
# Sizes of golden sets that a worse model is tried with, and the set that power is promised for.
SIZES = (20, 50, 100, 150, 200, 500, 1200)
POWER_QUERIES, POWER_DEVIATION = 1200, 0.2
LEVEL = 0.025
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


def rare(rng: np.random.Generator, queries: int, mean: float) -> np.ndarray:
    """Few queries lose everything, all others stay."""
    return -(rng.random(queries) < -mean).astype(np.float64)


def half(rng: np.random.Generator, queries: int, mean: float) -> np.ndarray:
    """Few queries lose a half, all others stay."""
    return np.where(rng.random(queries) < -2 * mean, -0.5, 0.0)


def gains(rng: np.random.Generator, queries: int, mean: float) -> np.ndarray:
    """Few queries lose everything, all others gain a hundredth."""
    return np.where(rng.random(queries) < (0.01 - mean) / 1.01, -1.0, 0.01)


def halves(rng: np.random.Generator, queries: int, mean: float) -> np.ndarray:
    """One half of the queries loses three times the mean, the other gains as much as the mean."""
    ill = np.arange(queries) % 2 == 0
    return np.asarray(
        np.where(ill, rng.normal(3 * mean, 0.1, queries), rng.normal(-mean, 0.05, queries))
    )


def wide(rng: np.random.Generator, queries: int, mean: float) -> np.ndarray:
    """Differences that are normal, with the spread that power is promised for."""
    return np.clip(rng.normal(mean, POWER_DEVIATION, queries), -1, 1)


_PAIRS = np.abs(STEPS[:, None] - STEPS[None, :])
_SIZE, _SQUARE = float(_PAIRS.mean()), float((_PAIRS**2).mean())
WORLDS: dict[str, World] = {
    "normal": normal,
    "ranked": ranked,
    "rare": rare,
    "half": half,
    "gains": gains,
    "halves": halves,
    "wide": wide,
}


def others(differences: np.ndarray, margin: float) -> dict[str, bool]:
    """Whether each of the other tests would rule out a loss of the margin."""
    from scipy.stats import t

    count, spread = len(differences), float(differences.std(ddof=1))
    shifted = differences + margin
    statistic = shifted.mean() / (spread / np.sqrt(count)) if spread else np.inf * shifted.mean()
    claimed = (1 - margin) / 2
    scaled, places = (differences + 1) / 2, np.arange(1, count + 1)
    means = (0.5 + np.cumsum(scaled)) / (places + 1)
    variances = (0.25 + np.cumsum((scaled - means) ** 2)) / (places + 1)
    before = np.append(0.25, variances[:-1])
    stake = np.minimum(np.sqrt(2 * np.log(1 / LEVEL) / (count * before)), 0.5 / claimed)
    wealth = np.cumsum(np.log1p(stake * (scaled - claimed)))
    return {
        "t": float(t.sf(statistic, count - 1)) <= LEVEL,
        "sign flips": sign_flip_p_value(shifted, seed=0, one_sided=True) <= LEVEL,
        "betting": float(wealth.max()) >= np.log(1 / LEVEL),
    }


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
        found.update(name for name, passes in others(differences, margin).items() if passes)
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
    rows = [(w, -margin, n) for w in WORLDS if w != "wide" for n in (*SIZES[:-1], needed)]
    rows += [(w, 0.0, needed) for w in ("normal", "ranked")]
    rows += [("wide", mean, POWER_QUERIES) for mean in (-margin, 0.0)]
    seen = hashlib.sha256()
    with ProcessPoolExecutor(options.processes) as pool:
        for world, mean, queries in rows:
            play = partial(outcomes, world, mean, queries, margin)
            blocks = range(options.first, options.first + gates // BLOCK)
            total = sum(pool.map(play, blocks), Counter())
            count = sum(total[name] for name in ("pass", "undecided", "fail"))
            shares = [f"{total[name] / count:.2%}" for name in ("pass", "undecided", "fail")]
            row = [f"{world}, {mean:+.3f}, {queries}", f"{count:,}", *shares]
            also = [f"{total[name] / count:.1%}" for name in ("t", "sign flips", "betting")]
            table.add([*row, interval(total["pass"], count), *also])
            seen.update(repr(sorted(total.items())).encode())
    note(f"sha256 of the counts: {seen.hexdigest()[:16]}")


if __name__ == "__main__":
    main()
