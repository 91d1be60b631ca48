"""The interval of a mean recall: coverage where the normal interval fails, and Holm's procedure."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vector_platform.quality.recall.intervals import holm_rejects, recall_interval

K = 10
ROUNDS = 1000
# Per-query recalls of a whole population, drawn once.
_rng = np.random.default_rng(7)
POPULATIONS = {
    "near one, few bad queries": np.where(_rng.random(20_000) < 0.98, 1.0, 0.5),
    "independent neighbours": _rng.binomial(K, 0.99, 20_000) / K,
    "all or nothing": (_rng.random(20_000) < 0.97).astype(float),
    "a stale slice": _rng.binomial(K, _rng.beta(1.6, 1.5, 20_000)) / K,
}


@pytest.mark.parametrize("name", POPULATIONS)
@pytest.mark.parametrize("queries", [100, 300])
def test_the_interval_holds_the_mean_as_often_as_it_says(name: str, queries: int) -> None:
    population = POPULATIONS[name]
    rng = np.random.default_rng(1)
    held = 0
    for _ in range(ROUNDS):
        found = recall_interval(rng.choice(population, queries), k=K)
        held += found.low <= population.mean() <= found.high
    # .94 is asked for; a thousand rounds see it within two hundredths.
    assert held / ROUNDS >= 0.925


@pytest.mark.parametrize("stored", [400, 20_000])
def test_the_interval_of_all_rows_holds_when_cells_are_asked_unequally(stored: int) -> None:
    """A large cell that is served well, and a small one, half of it asked, that is not."""
    rng = np.random.default_rng(2)
    large, small = (_rng.binomial(K, p, count) / K for p, count in ((0.97, stored), (0.6, 100)))
    rows = np.repeat([stored / 100, 100 / 50], [100, 50])
    mean = float(np.concatenate([large, small]).mean())
    held = 0
    for _ in range(ROUNDS):
        asked = (rng.choice(cell, n, replace=False) for cell, n in ((large, 100), (small, 50)))
        found = recall_interval(np.concatenate([*asked]), k=K, rows=rows)
        held += found.low <= mean <= found.high
    assert held / ROUNDS >= 0.925


def test_of_rows_that_were_all_asked_nothing_is_in_doubt() -> None:
    recalls = np.array([1.0] * 9 + [0.0])
    found = recall_interval(recalls, k=K, rows=np.ones(10))
    assert found.mean == 0.9 and found.high - found.low < 1e-3


@given(st.lists(st.integers(0, K), min_size=1, max_size=60))
def test_queries_that_stand_for_equally_many_of_countless_rows_count_alike(hits: list[int]) -> None:
    recalls = np.array(hits) / K
    found = recall_interval(recalls, k=K, rows=np.full(len(hits), 1e9))
    same = recall_interval(recalls, k=K)
    assert (found.low, found.high) == pytest.approx((same.low, same.high), abs=1e-6)


def test_a_thousand_queries_near_one_give_half_a_hundredth() -> None:
    recalls = np.where(np.random.default_rng(0).random(1000) < 0.915, 1.0, 0.8)
    found = recall_interval(recalls, k=K)
    assert (found.high - found.low) / 2 <= 0.005


def test_equal_recalls_still_leave_a_doubt() -> None:
    found = recall_interval(np.ones(100), k=K)
    assert (found.mean, found.high) == (1.0, 1.0)
    assert 0.95 < found.low < 0.97


@given(
    st.lists(st.integers(0, K), min_size=1, max_size=60),
    st.floats(0.05, 0.95),
)
def test_the_test_rejects_exactly_the_floors_above_the_interval(
    hits: list[int], floor: float
) -> None:
    found = recall_interval(np.array(hits) / K, k=K)
    assert 0 <= found.low <= found.mean <= found.high <= 1
    assert 1 <= found.trials / found.queries <= K
    if abs(floor - found.high) > 1e-9:
        assert (found.p_below(floor) < 0.025) == (found.high < floor)


@given(st.lists(st.floats(0, 1), max_size=12))
def test_holm_rejects_the_smallest_first_and_at_least_what_bonferroni_does(
    p_values: list[float],
) -> None:
    rejected = holm_rejects(p_values, level=0.05)
    for p, out in zip(p_values, rejected, strict=True):
        assert out or p > 0.05 / len(p_values)
        assert not out or p <= 0.05
    kept = [p for p, out in zip(p_values, rejected, strict=True) if not out]
    gone = [p for p, out in zip(p_values, rejected, strict=True) if out]
    assert not (kept and gone) or max(gone) <= min(kept)
