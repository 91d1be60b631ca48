"""How large the largest score of a year gets when nothing changes.

Belongs here: the score of a distance, simulated years, thresholds and p-values from them.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt
from scipy import special

from vector_platform.quality.sketches.days import WEEK, YEAR

Floats = npt.NDArray[np.float64]

WINDOWS = (1, 3, 7, 14, 28)
# A chance below this is shown as this: so far out, the tail is theory that no year has tested.
LEAST_P_VALUE = 1e-6
# Simulated years, and the share of them to whose scores the tail is fitted: the 1 in 1,000 year of
# a block rests on 20 of them, rarer ones on the fit. Scores are logarithms of chances, so the tail
# is exponential; 500 years put its rate within 5 %.
YEARS = 10_000
_TAIL = 0.05
_BATCH = 500
_SEED = 20
# Degrees of freedom that are simulated; beyond the last the distributions are one.
FREEDOMS = (28, 42, 56, 77, 105, 161, 301, 1001)


def score_of(distances: Floats, size: int, freedom: float) -> Floats:
    """-log10 of the chance of a Hotelling T2 at least this large.

    The F-distribution's upper tail as a regularised incomplete beta function: unlike a
    survival function, its logarithm does not stop at 1e-16.
    """
    second = freedom - size + 1
    # P(F > f) = I(second / (second + size f); second / 2, size / 2), f = T2 second / (nu size).
    point = freedom / (freedom + distances)
    chance = special.betainc(second / 2, size / 2, point)
    return np.asarray(-np.log10(np.maximum(chance, 1e-300)))


def rounded_up(freedom: float) -> int:
    """Degrees of freedom on a coarse scale, so that slices share a simulation.

    Scores of more degrees of freedom reach a little higher in a year: up is the safe side.
    """
    return next((step for step in FREEDOMS if step >= freedom), FREEDOMS[-1])


@dataclass(frozen=True)
class NullDistribution:
    """The largest score of a year without change, over all days, windows and tests.

    Attributes:
        tests: How many tests have how many degrees of freedom; they count as independent.
        days: Reference days.
        windows: Lengths in days.
    """

    tests: tuple[tuple[int, int], ...]
    days: int
    windows: tuple[int, ...] = WINDOWS

    def p_value(self, score: float) -> float:
        """Chance that a year without change holds a score at least this large."""
        calm = sum(count * np.log1p(-self._one(score, freedom)) for count, freedom in self.tests)
        return float(-np.expm1(calm))

    def threshold(self, budget: float) -> float:
        """The score that a year without change reaches with chance `budget`."""
        low, high = 0.0, 300.0
        while high - low > 1e-4:
            middle = (low + high) / 2
            low, high = (middle, high) if self.p_value(middle) > budget else (low, middle)
        return high

    def _one(self, score: float, freedom: int) -> float:
        """Share of simulated years above a score; beyond the last 5 %, the fitted tail."""
        maxima, start, rate = _simulated(self.days, freedom, self.windows)
        if score <= start:
            return float(1 - (1 + np.searchsorted(maxima, score)) / (len(maxima) + 2))
        return float(_TAIL * np.exp(-rate * (score - start)))


@lru_cache(maxsize=256)
def _simulated(
    reference_days: int, freedom: int, windows: tuple[int, ...]
) -> tuple[Floats, float, float]:
    """Sorted largest scores of years of Gaussian days, where the tail starts, and its rate."""
    rng = np.random.default_rng([_SEED, reference_days, freedom])
    maxima = np.sort(
        np.concatenate(
            [years(rng, 1, reference_days, freedom, windows) for _ in range(YEARS // _BATCH)]
        )
    )
    start = float(np.quantile(maxima, 1 - _TAIL))
    return maxima, start, 1 / float((maxima[maxima > start] - start).mean())


def years(
    rng: np.random.Generator,
    size: int,
    reference_days: int,
    freedom: int,
    windows: tuple[int, ...],
) -> Floats:
    """Largest score of each of some years without change, every one with its own reference.

    Args:
        rng: Source of the days.
        size: Features of the one test.
        reference_days: Days of the reference, in whole weeks.
        freedom: Degrees of freedom of its covariance, at least those of the reference.
        windows: Lengths in days.
    """
    weekdays = np.arange(reference_days + YEAR) % WEEK
    days = rng.standard_normal((_BATCH, reference_days + YEAR, size), dtype=np.float32)
    member = np.arange(WEEK)[:, None] == weekdays[:reference_days]
    seen = member.sum(axis=1)
    means = (member / seen[:, None]).astype(np.float32) @ days[:, :reference_days]
    left = days - means[:, weekdays]
    known = left[:, :reference_days].astype(np.float64)
    covariance = np.swapaxes(known, 1, 2) @ known
    gained = max(freedom - (reference_days - WEEK), 0)
    if gained:
        more = rng.standard_normal((_BATCH, gained, size))
        covariance += np.swapaxes(more, 1, 2) @ more
    covariance /= reference_days - WEEK + gained
    root = np.linalg.inv(np.linalg.cholesky(covariance)).astype(np.float32)
    running = np.zeros((_BATCH, YEAR + 1, size), np.float32)
    np.cumsum(left[:, reference_days:] @ np.swapaxes(root, 1, 2), axis=1, out=running[:, 1:])
    counts = np.cumsum(np.arange(WEEK)[:, None] == np.r_[-1, weekdays[reference_days:]], axis=1)
    end = np.arange(1, YEAR + 1)
    largest = np.zeros(_BATCH)
    for width in windows:
        first = np.maximum(end - width, 0)
        inside = (end - first).astype(np.float32)
        shares = (counts[:, end] - counts[:, first]) / inside
        variance = 1 / inside + (shares**2 / seen[:, None]).sum(axis=0)
        distance = (running[:, end] - running[:, first]) / inside[:, None]
        squares = np.square(distance).sum(axis=2) / variance
        largest = np.maximum(largest, squares.max(axis=1))
    return score_of(largest, size, reference_days - WEEK + gained)
