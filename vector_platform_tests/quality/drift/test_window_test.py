from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from vector_platform.quality.drift.null_distribution import NullDistribution, score_of, years
from vector_platform.quality.drift.window_test import Calendar
from vector_platform.quality.sketches.block import Block
from vector_platform.quality.sketches.days import YEAR, Days

MONDAY = 20458  # 2026-01-05
BLOCKS = (
    Block("joint", slice(0, 6), "joint"),
    Block("single", slice(6, 10), "single"),
    Block("count", slice(10, 16), "count"),
)
SHARES = np.array([0.4, 0.3, 0.15, 0.1, 0.04, 0.01])


def stream(
    rng: np.random.Generator,
    days: int,
    *,
    rows: int | np.ndarray = 300,
    wobble: float = 0.0,
    week: float = 0.0,
) -> Days:
    """Days of Gaussian features and counts, with habits of the weekday and of the day."""
    size = np.broadcast_to(np.asarray(rows), (days,)).astype(float)
    habits = np.random.default_rng(99).standard_normal((7, 10)) * week
    own = rng.standard_normal((days, 10)) * wobble
    weekday = np.arange(days) % 7
    means = habits[weekday] + own + rng.standard_normal((days, 10)) / np.sqrt(size[:, None])
    # Topics wobble as a Dirichlet does, here through gamma weights.
    concentration = 1 / max(wobble, 1e-3) ** 2
    shares = rng.gamma(SHARES * concentration, size=(days, 6))
    shares /= shares.sum(axis=1, keepdims=True)
    counts = np.array([rng.multinomial(int(n), p) for n, p in zip(size, shares, strict=True)])
    sums = np.hstack([means * size[:, None], counts])
    return Days(MONDAY + np.arange(days), size, sums)


def cut(days: Days, at: int) -> tuple[Days, Days]:
    return days.between(MONDAY, MONDAY + at - 1), days


@pytest.mark.parametrize(
    ("rows", "wobble", "week"),
    [
        (300, 0.0, 0.0),
        (300, 0.1, 0.0),
        (300, 0.1, 0.3),
        (np.tile([400, 380, 390, 410, 300, 60, 50], 61)[: 56 + 365], 0.1, 0.3),
    ],
    ids=["days alike", "days that wobble", "a weekly cycle", "small weekends"],
)
def test_a_year_without_change_alarms_as_rarely_as_it_may(
    rows: int | np.ndarray, wobble: float, week: float
) -> None:
    budget, repeated = 0.1, 100
    rng = np.random.default_rng(5)
    alarms = 0
    for _ in range(repeated):
        reference, days = cut(stream(rng, 56 + YEAR, rows=rows, wobble=wobble, week=week), 56)
        calendar = Calendar(reference, BLOCKS)
        alarms += calendar.looks(days).scores.max() >= calendar.null.threshold(budget)
    # The chance of more alarms than this, when the budget holds, is one in a thousand.
    assert alarms <= stats.binom.ppf(0.999, repeated, budget)


def test_a_single_year_alarms_exactly_as_often_as_the_budget_says() -> None:
    # One test, so that nothing is lost to counting tests as independent.
    rng = np.random.default_rng(6)
    null = NullDistribution(((1, 49),), 56)
    found = np.concatenate([years(rng, 1, 56, 49, null.windows) for _ in range(4)])
    alarms = int((found >= null.threshold(0.05)).sum())
    low, high = stats.binom.ppf([0.001, 0.999], len(found), 0.05)
    assert low <= alarms <= high


@pytest.mark.parametrize("size", [4, 16])
def test_the_year_of_a_joint_distance_is_the_year_of_a_single_one(size: int) -> None:
    null = NullDistribution(((1, 49),), 56)
    found = years(np.random.default_rng(7), size, 56, 49, null.windows)
    assert (found >= null.threshold(0.05)).mean() < 0.09


def test_scores_are_the_tail_of_the_f_distribution() -> None:
    distances = np.array([0.5, 10.0, 60.0])
    size, freedom = 5, 49
    second = freedom - size + 1
    expected = stats.f.sf(distances * second / (freedom * size), size, second)
    np.testing.assert_allclose(score_of(distances, size, freedom), -np.log10(expected))
    # Where the survival function has long been zero, a larger distance still scores more.
    far = score_of(np.array([1e8, 1e9]), size, freedom)
    assert 20 < far[0] < far[1]


def test_a_shift_is_found_by_the_window_that_fits_it() -> None:
    rng = np.random.default_rng(8)
    days = stream(rng, 56 + 60)
    small, large = days.sums.copy(), days.sums.copy()
    small[56 + 30 :, 7] += 0.12 * days.rows[56 + 30 :]
    large[56 + 30 :, 7] += 0.6 * days.rows[56 + 30 :]
    reference, _ = cut(days, 56)
    calendar = Calendar(reference, BLOCKS)
    threshold = calendar.null.threshold(0.01)
    first = {}
    for name, sums in (("none", days.sums), ("small", small), ("large", large)):
        looks = calendar.looks(Days(days.dates, days.rows, sums))
        alarms = np.argwhere(looks.scores >= threshold)
        first[name] = tuple(alarms[0]) if len(alarms) else None
    assert first["none"] is None
    assert first["large"] == (30, 0)
    assert first["small"] is not None and 30 < first["small"][0] < 58


def test_a_topic_that_comes_is_found_by_its_count_and_named() -> None:
    rng = np.random.default_rng(9)
    days = stream(rng, 56 + 7)
    days.sums[-1, 15] += 30
    reference, _ = cut(days, 56)
    calendar = Calendar(reference, BLOCKS)
    looks = calendar.looks(days)
    assert looks.scores[-1, 0] >= calendar.null.threshold(0.01)
    assert BLOCKS[looks.blocks[-1, 0]].name == "count"


def test_windows_do_not_reach_back_into_the_reference() -> None:
    days = stream(np.random.default_rng(10), 70)
    reference, _ = cut(days, 56)
    looks = Calendar(reference, BLOCKS).looks(days)
    assert looks.dates.tolist() == list(range(MONDAY + 56, MONDAY + 70))
    assert looks.rows[0].tolist() == [300] * 5
    assert looks.rows[-1].tolist() == [300, 900, 2100, 4200, 4200]


def test_a_weekday_that_the_reference_never_saw_is_not_judged() -> None:
    days = stream(np.random.default_rng(11), 70)
    workdays = days.weekdays < 5
    reference = Days(*(v[workdays] for v in (days.dates, days.rows, days.sums))).between(
        MONDAY, MONDAY + 55
    )
    looks = Calendar(reference, BLOCKS).looks(days)
    assert len(looks.dates) == 10
    assert set((looks.dates + 3) % 7) == {0, 1, 2, 3, 4}


def test_windows_with_too_few_rows_have_no_score() -> None:
    days = stream(np.random.default_rng(12), 63, rows=20)
    reference, _ = cut(days, 56)
    looks = Calendar(reference, BLOCKS, min_rows=50).looks(days)
    assert (looks.scores[:, 0] == 0).all()
    assert (looks.scores[2:, 1] > 0).all()
