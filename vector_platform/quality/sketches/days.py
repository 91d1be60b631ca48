"""A series of days, and their weekdays.

Belongs here: which days there are and what they sum.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

YEAR = 365
WEEK = 7


@dataclass(frozen=True)
class Days:
    """A series of days, oldest first, each once; days without rows are left out.

    Attributes:
        dates: Days since 1970-01-01.
        rows: Rows of each day.
        sums: Sums of their features, shape (days, features).
    """

    dates: Ints
    rows: Floats
    sums: Floats

    def between(self, first: int, last: int) -> Days:
        """The days from `first` to `last`, both included."""
        chosen = slice(*np.searchsorted(self.dates, [first, last + 1]))
        return Days(self.dates[chosen], self.rows[chosen], self.sums[chosen])

    @cached_property
    def weekdays(self) -> Ints:
        """0 for a Monday (1970-01-01 was a Thursday)."""
        return (self.dates + 3) % WEEK
