"""Is a window of days unlike the reference days? A test whose unit is the day, for a whole year.

Belongs here: the arithmetic over days, without a lake. Does not belong here: what a day's features
are (`feature_map.py`), thresholds and p-values (`year_null.py`), or what is done about an alarm.

The mean of a day's features varies by more than its rows explain: topics wobble, weekdays have
habits. So days are the sample. For each *block* of features the reference days give a mean for
every weekday and one covariance S of what is left, with `nu` = days - weekdays degrees of
freedom. The distance of a window from the reference is Hotelling's

    T2 = d' S^-1 d / variance factor,    T2 (nu - q + 1) / (nu q)  ~  F(q, nu - q + 1)

(q features a block, d the window's mean minus what its weekdays lead one to expect). It does not
depend on how days vary, only on how many were seen: S is estimated and the F-distribution pays
for that, which is what keeps the far tail honest when the reference is short. For the same reason
the largest T2 of a year over all days and windows, one reference for all of them, has a
distribution that is simulated once for a number of days and serves every stream. Blocks are
combined as if they were independent; centred Gaussian blocks that are not only alarm less (the
Gaussian correlation inequality, Royen 2014).

Days of unequal size: a day's variance is proportional to 1 / rows + tau, where tau, the share of
the day itself, is estimated a block by moments. With equal sizes it cancels.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
import numpy.typing as npt
from scipy import special

from vector_platform.quality.days import WEEK, YEAR, Days
from vector_platform.quality.year_null import FREEDOMS, WINDOWS, YearNull, rounded_up, score_of

__all__ = ["YEAR", "Block", "Calendar", "Days", "Looks", "moderated"]

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

# Features have unit variance a row. A direction that hardly varied in the reference (a mark that
# nearly no text has) would make an alarm of two odd rows; taking its variance for larger than it
# was only makes distances smaller.
LEAST_VARIANCE = 0.5


@dataclass(frozen=True)
class Block:
    """Features that are tested together.

    Attributes:
        name: What they are.
        columns: Where they are among the features.
        kind: `joint`: one distance for all of them; `single`: each on its own; `count`: each on
            its own, and it is a share of rows.
    """

    name: str
    columns: slice
    kind: Literal["joint", "single", "count"]

    @property
    def size(self) -> int:
        """Number of features."""
        return int(self.columns.stop - self.columns.start)

    @property
    def tests(self) -> tuple[int, ...]:
        """Features of every test that the block is."""
        return (self.size,) if self.kind == "joint" else (1,) * self.size


@dataclass(frozen=True)
class Looks:
    """Every window that ends on each of some days.

    Attributes:
        dates: The days on which windows end, shape (days,).
        windows: Lengths in days, shape (windows,).
        rows: Rows in each window, shape (days, windows).
        scores: -log10 p of the test that stands out most, 0 where not judged; same shape.
        blocks: Which block that test is of; same shape.
    """

    dates: Ints
    windows: tuple[int, ...]
    rows: Floats
    scores: Floats
    blocks: Ints


class Calendar:
    """What the reference days say of a stream: block by block, weekday by weekday.

    Args:
        reference: The days taken as normal.
        blocks: What is tested.
        windows: Lengths in days of what is compared.
        min_rows: Rows below which a window is not judged.
    """

    def __init__(
        self,
        reference: Days,
        blocks: tuple[Block, ...],
        *,
        windows: tuple[int, ...] = WINDOWS,
        min_rows: int = 1,
    ) -> None:
        self.blocks = blocks
        self.windows = windows
        self._min_rows = min_rows
        self._last = int(reference.dates[-1])
        self._present = np.isin(np.arange(WEEK), reference.weekdays)
        self.days = len(reference.dates)
        freedom = self.days - int(self._present.sum())
        self._fits = [_Fit(reference, block, freedom) for block in blocks]

    def looks(self, days: Days) -> Looks:
        """Compare every window that ends on a day after the reference.

        A window never reaches back into the reference: in its first weeks it is shorter. Days
        of a weekday that the reference has never seen are left out.
        """
        known = self._present[days.weekdays] & (days.dates > self._last)
        days = Days(days.dates[known], days.rows[known], days.sums[known])
        shape = (len(days.dates), len(self.windows))
        rows, scores, blocks = np.zeros(shape), np.zeros(shape), np.zeros(shape, np.int64)
        firsts = [np.searchsorted(days.dates, days.dates - width + 1) for width in self.windows]
        for at, first in enumerate(firsts):
            rows[:, at] = _over_windows(days.rows, first)
        for number, fit in enumerate(self._fits):
            found = fit.scores(days, firsts)
            better = found > scores
            scores[better], blocks[better] = found[better], number
        scores[rows < self._min_rows] = 0
        return Looks(days.dates, self.windows, rows, scores, blocks)

    @cached_property
    def null(self) -> YearNull:
        """What the largest score of a year looks like when nothing changes."""
        tests = tuple((len(fit.block.tests), rounded_up(fit.freedom)) for fit in self._fits)
        return YearNull(tests, self.days // WEEK * WEEK, self.windows)


class _Fit:
    """One block of the reference."""

    def __init__(self, reference: Days, block: Block, freedom: int) -> None:
        self.block = block
        self.freedom: float = freedom
        means = reference.sums[:, block.columns] / reference.rows[:, None]
        member = np.arange(WEEK)[:, None] == reference.weekdays
        # Features have unit variance a row, so what exceeds 1 / rows is the day's own; with days
        # of one size a wrong share changes nothing.
        plain = (member / np.maximum(member.sum(axis=1, keepdims=True), 1)) @ means
        excess = np.square(means - plain[reference.weekdays]).sum(axis=0) / freedom
        self.chance = float((1 / reference.rows).mean())
        if block.kind == "count":
            self.floor = 0.5 / reference.rows.sum()
            share = np.clip(reference.sums[:, block.columns].sum(axis=0), 0.5, None)
            share /= reference.rows.sum()
            binomial = share * (1 - np.minimum(share, 0.5))
            ratio, more = moderated(excess / binomial / self.chance, freedom)
            self.freedom = freedom + more
            excess = ratio * self.chance
        elif block.kind == "joint":
            excess = np.full(block.size, excess.mean())
        self.tau = np.maximum(0.0, excess - self.chance)
        weights = 1 / (1 / reference.rows[:, None] + self.tau)
        total = np.stack([weights[days].sum(axis=0) for days in member])
        seen = np.where(total > 0, total, 1)
        self.means = np.stack([(weights * means)[days].sum(axis=0) for days in member]) / seen
        self.variances = 1 / seen
        left = (means - self.means[reference.weekdays]) * np.sqrt(weights)
        if block.kind == "joint":
            variances, axes = np.linalg.eigh(left.T @ left / freedom)
            self.scale = axes / np.sqrt(np.maximum(variances, LEAST_VARIANCE))
        elif block.kind == "single":
            self.scale = 1 / np.sqrt(np.maximum((left**2).sum(axis=0) / freedom, LEAST_VARIANCE))
        else:
            # tau holds all that varies more than chance does.
            self.scale = 1 / np.sqrt(binomial)

    def scores(self, days: Days, firsts: list[Ints]) -> Floats:
        """-log10 p of every window's most striking test, shape (days, windows)."""
        means = days.sums[:, self.block.columns] / days.rows[:, None]
        weights = 1 / (1 / days.rows[:, None] + self.tau)
        expected = self.means[days.weekdays]
        joint = self.block.kind == "joint"
        if joint:
            means, expected = means @ self.scale, expected @ self.scale
            weights = weights[:, :1]
        of_weekday = (np.arange(WEEK) == days.weekdays[:, None])[:, :, None] * weights[:, None]
        out = np.empty((len(means), len(firsts)))
        for at, first in enumerate(firsts):
            total = _over_windows(weights, first)
            found = _over_windows(weights * means, first) / total
            normal = _over_windows(weights * expected, first) / total
            shares = _over_windows(of_weekday, first) / total[:, None]
            variance = 1 / total + (shares**2 * self.variances[:, : total.shape[1]]).sum(axis=1)
            if joint:
                distance = np.square(found - normal).sum(axis=1) / variance[:, 0]
            else:
                moved = (
                    self._symmetric(found, normal)
                    if self.block.kind == "count"
                    else (found - normal)
                )
                distance = (np.square(moved * self.scale) / variance).max(axis=1)
            out[:, at] = score_of(distance, self.block.tests[0], self.freedom)
        return out

    def _symmetric(self, found: Floats, normal: Floats) -> Floats:
        """Difference of shares on a scale where what grows is not skewed.

        The power 2/3 takes the skewness from a Poisson count (Anscombe 1953), the power 1/3 from
        a share that wobbles in proportion to itself, as a gamma variable does (Wilson and
        Hilferty 1931); between them decides how much of the variance is the day's own. The slope
        at the normal share keeps small differences as they are, and a share that falls has no
        long tail to be taken from it.
        """
        normal, found = np.maximum(normal, self.floor), np.maximum(found, 0)
        # Few days of a skewed share mostly show less of its wobble than there is.
        wobble = self.tau + 2 * (self.tau + self.chance) * np.sqrt(2 / self.freedom)
        power = 2 / 3 - np.minimum(1, 2 * wobble / (wobble + self.chance)) / 3
        grown = (found**power - normal**power) * normal ** (1 - power) / power
        return np.where(found > normal, grown, found - normal)


def moderated(ratios: Floats, freedom: int) -> tuple[Floats, float]:
    """Variances of many tests that learn from each other, and the degrees of freedom gained.

    Empirical Bayes for variances (Smyth 2004): if the ratios scatter no more than estimates of
    one number would, they are one number, well known; the more they truly differ, the less is
    borrowed. Each then has the t-distribution of `freedom` plus what is gained. No variance is made
    smaller than its own estimate: a share that truly wobbles more than the others must not be
    taken for one of them.

    Args:
        ratios: Estimated variances, each relative to what it should be, at least two.
        freedom: Degrees of freedom of each.
    """
    logs = np.log(np.maximum(ratios, 1e-9)) - special.digamma(freedom / 2) + np.log(freedom / 2)
    scatter = float(logs.var(ddof=1)) - float(special.polygamma(1, freedom / 2))
    prior = 2 * _inverse_trigamma(scatter) if scatter > 0 else float(FREEDOMS[-1])
    prior = min(prior, float(FREEDOMS[-1]))
    common = np.exp(logs.mean() + special.digamma(prior / 2) - np.log(prior / 2))
    shared = (prior * common + freedom * ratios) / (prior + freedom)
    return np.maximum(ratios, shared), prior


def _inverse_trigamma(value: float) -> float:
    """The x whose trigamma is `value`: Newton on 1 / trigamma, which is nearly straight."""
    x = 0.5 + 1 / value
    for _ in range(20):
        trigamma = float(special.polygamma(1, x))
        x += trigamma * (1 - trigamma / value) / float(special.polygamma(2, x))
    return x


def _over_windows(values: Floats, first: Ints) -> Floats:
    """Sums of `values` (along axis 0) from `first[i]` to i, both included."""
    running = np.concatenate([np.zeros((1, *values.shape[1:])), np.cumsum(values, axis=0)])
    return np.asarray(running[1:] - running[first])
