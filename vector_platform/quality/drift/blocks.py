"""One block of features over the reference days: what is normal, and how far a window is from it.

Belongs here: means and variances of a block, and the score of a window.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import special

from vector_platform.quality.drift.null_distribution import FREEDOMS, score_of
from vector_platform.quality.sketches.block import Block
from vector_platform.quality.sketches.days import WEEK, Days

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

# Features have unit variance a row. A direction that hardly varied in the reference (a mark that
# nearly no text has) would make an alarm of two odd rows; taking its variance for larger than it
# was only makes distances smaller.
LEAST_VARIANCE = 0.5
# A measure that varies less than this a row is one value in nearly all texts, and how much its days
# vary says nothing of other measures.
_VARIED = 0.1


@dataclass(frozen=True, eq=False)
class _Variances:
    """Of the features of a block.

    Attributes:
        of_rows: From row to row.
        ratios: From day to day, relative to what that and the number of rows explain.
        freedom: Degrees of freedom of the ratios.
    """

    of_rows: Floats
    ratios: Floats
    freedom: float


def fit_blocks(reference: Days, blocks: tuple[Block, ...], freedom: int) -> list[BlockFit]:
    """Fit every block to the reference days.

    Variances of features that are tested each on its own learn from each other, see `moderated`:
    counts from the counts of their block, measures from those of all blocks, because the few of
    one are much alike and would vouch for each other.

    Args:
        reference: The days taken as normal.
        blocks: What is tested.
        freedom: Degrees of freedom that the days leave: days less weekdays.
    """
    found = [_variances(reference, block, freedom) for block in blocks]
    singles = [place for place, block in enumerate(blocks) if block.kind == "single"]
    families = [[place] for place, block in enumerate(blocks) if block.kind == "count"]
    for family in [singles, *families] if singles else families:
        own = [found[place] for place in family]
        varied = [
            (each.of_rows >= _VARIED) | (blocks[place].kind == "count")
            for place, each in zip(family, own, strict=True)
        ]
        of_all = np.concatenate([e.ratios[chosen] for e, chosen in zip(own, varied, strict=True)])
        if len(of_all) < 2:
            continue
        better, gained = moderated(of_all, freedom)
        ends = np.cumsum([int(chosen.sum()) for chosen in varied])[:-1]
        for place, each, chosen, ratios in zip(
            family, own, varied, np.split(better, ends), strict=True
        ):
            shared = each.ratios.copy()
            shared[chosen] = ratios
            found[place] = _Variances(each.of_rows, shared, freedom + gained)
    return [
        BlockFit(reference, block, each, freedom) for block, each in zip(blocks, found, strict=True)
    ]


def _variances(reference: Days, block: Block, freedom: int) -> _Variances:
    means = reference.sums[:, block.columns] / reference.rows[:, None]
    member = np.arange(WEEK)[:, None] == reference.weekdays
    plain = (member / np.maximum(member.sum(axis=1, keepdims=True), 1)) @ means
    of_days = np.square(means - plain[reference.weekdays]).sum(axis=0) / freedom
    if block.kind == "count":
        share = np.clip(reference.sums[:, block.columns].sum(axis=0), 0.5, None)
        share /= reference.rows.sum()
        of_rows = share * (1 - np.minimum(share, 0.5))
    elif block.kind == "single" and block.spreads:
        of_rows = np.maximum(block.spreads, 1e-6)
    else:
        of_rows = np.ones(block.size)
    return _Variances(of_rows, of_days / of_rows / _chance(reference), freedom)


def _chance(reference: Days) -> float:
    """What a row's variance is divided by in the mean of a day, averaged over days."""
    return float((1 / reference.rows).mean())


class BlockFit:
    """One block of the reference.

    Args:
        reference: The days taken as normal.
        block: What is tested.
        found: Variances of its features.
        freedom: Degrees of freedom that the days leave.
    """

    def __init__(self, reference: Days, block: Block, found: _Variances, freedom: int) -> None:
        self.block = block
        self.freedom = found.freedom
        self.chance = _chance(reference)
        self.floor = 0.5 / reference.rows.sum()
        means = reference.sums[:, block.columns] / reference.rows[:, None]
        member = np.arange(WEEK)[:, None] == reference.weekdays
        of_rows, ratios = found.of_rows, found.ratios
        if block.kind == "joint":
            ratios = np.full(block.size, ratios.mean())
        elif block.kind == "single":
            of_rows = np.maximum(of_rows, LEAST_VARIANCE)
            ratios = ratios * found.of_rows / of_rows
        # What exceeds the rows' own is the day's; with days of one size a wrong share changes
        # nothing.
        self.tau = np.maximum(0.0, ratios - 1) * self.chance
        weights = 1 / (1 / reference.rows[:, None] + self.tau)
        total = np.stack([weights[days].sum(axis=0) for days in member])
        seen = np.where(total > 0, total, 1)
        self.means = np.stack([(weights * means)[days].sum(axis=0) for days in member]) / seen
        self.variances = 1 / seen
        if block.kind == "joint":
            left = (means - self.means[reference.weekdays]) * np.sqrt(weights)
            variances, axes = np.linalg.eigh(left.T @ left / freedom)
            self.scale = axes / np.sqrt(np.maximum(variances, LEAST_VARIANCE))
        else:
            # tau holds all that varies more than rows explain.
            self.scale = 1 / np.sqrt(of_rows)

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
            total = over_windows(weights, first)
            found = over_windows(weights * means, first) / total
            normal = over_windows(weights * expected, first) / total
            shares = over_windows(of_weekday, first) / total[:, None]
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


def over_windows(values: Floats, first: Ints) -> Floats:
    """Sums of `values` (along axis 0) from `first[i]` to i, both included."""
    running = np.concatenate([np.zeros((1, *values.shape[1:])), np.cumsum(values, axis=0)])
    return np.asarray(running[1:] - running[first])
