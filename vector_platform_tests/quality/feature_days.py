"""Days of features without a lake: a fitted map, reference days, and days to come.

Belongs here: making days.
"""

from __future__ import annotations

from functools import reduce

import numpy as np

from vector_platform.quality.sketches.days import Days
from vector_platform.quality.sketches.fitting import fit
from vector_platform.quality.sketches.references import Reference
from vector_platform.quality.sketches.series import Series
from vector_platform_tests.lake.building import MODEL
from vector_platform_tests.quality.streams import EPOCH, FIRST, date_of, mixed, texts, vectors

REFERENCE_DAYS, A_DAY = 42, 100
START = (FIRST - EPOCH).days


def days_of(features: np.ndarray, first: int, *, rows: int = A_DAY) -> Days:
    """Rows of features, as days of equal size from a day on."""
    sums = features.reshape(-1, rows, features.shape[1]).sum(axis=1, dtype=np.float64)
    return Days(START + first + np.arange(len(sums)), np.full(len(sums), float(rows)), sums)


def joined(*parts: Days) -> Days:
    return Days(*(np.concatenate(values) for values in zip(*map(fields, parts), strict=True)))


def fields(days: Days) -> tuple[np.ndarray, ...]:
    return days.dates, days.rows, days.sums


class Home:
    """A fitted map, reference days, and days to come."""

    def __init__(self) -> None:
        rng = np.random.default_rng(0)
        self.map = fit(vectors(rng, 600), texts(rng, 600))
        self.reference = Reference(
            MODEL, 1, date_of(0), date_of(REFERENCE_DAYS - 1), self.map, (), "platform", ""
        )

    def features(self, rng: np.random.Generator, rows: np.ndarray) -> np.ndarray:
        return self.map(rows, texts(rng, len(rows)))

    def days(self, rng: np.random.Generator, first: int, count: int, share: float = 0) -> Days:
        rows = np.concatenate([mixed(rng, A_DAY, share) for _ in range(count)])
        return days_of(self.features(rng, rows), first)


def one(days: Days) -> Series:
    """A stream of one slice."""
    return Series(days, {("acme", "s"): days})


def together(slices: dict[tuple[str, str], Days]) -> Series:
    """A stream of slices that have rows on the same days."""
    parts = list(slices.values())
    rows = reduce(np.add, [each.rows for each in parts])
    sums = reduce(np.add, [each.sums for each in parts])
    return Series(Days(parts[0].dates, rows, sums), slices)
