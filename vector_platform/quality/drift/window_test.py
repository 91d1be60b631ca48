"""Is a window of days unlike the reference days? A test whose unit is the day, for a whole year.

Belongs here: the arithmetic over days, without a lake.

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

import numpy as np
import numpy.typing as npt

from vector_platform.quality.drift.blocks import fit_blocks, over_windows
from vector_platform.quality.drift.null_distribution import WINDOWS, NullDistribution, rounded_up
from vector_platform.quality.sketches.block import Block
from vector_platform.quality.sketches.days import WEEK, Days

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


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
        self._fits = fit_blocks(reference, blocks, freedom)

    def known(self, days: Days) -> Days:
        """Of some days those that can be compared.

        They come after the reference, and have a weekday that it has seen.
        """
        known = self._present[days.weekdays] & (days.dates > self._last)
        return Days(days.dates[known], days.rows[known], days.sums[known])

    def looks(self, days: Days) -> Looks:
        """Compare every window that ends on a day after the reference.

        A window never reaches back into the reference: in its first weeks it is shorter.
        """
        days = self.known(days)
        shape = (len(days.dates), len(self.windows))
        rows, scores, blocks = np.zeros(shape), np.zeros(shape), np.zeros(shape, np.int64)
        firsts = [np.searchsorted(days.dates, days.dates - width + 1) for width in self.windows]
        for at, first in enumerate(firsts):
            rows[:, at] = over_windows(days.rows, first)
        for number, fit in enumerate(self._fits):
            found = fit.scores(days, firsts)
            better = found > scores
            scores[better], blocks[better] = found[better], number
        scores[rows < self._min_rows] = 0
        return Looks(days.dates, self.windows, rows, scores, blocks)

    @cached_property
    def null(self) -> NullDistribution:
        """What the largest score of a year looks like when nothing changes."""
        tests = tuple((len(fit.block.tests), rounded_up(fit.freedom)) for fit in self._fits)
        return NullDistribution(tests, self.days // WEEK * WEEK, self.windows)
