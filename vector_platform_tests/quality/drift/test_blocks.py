from __future__ import annotations

import numpy as np
import pytest

from vector_platform.quality.drift.blocks import LEAST_VARIANCE, fit_blocks, moderated
from vector_platform.quality.sketches.block import Block
from vector_platform.quality.sketches.days import Days
from vector_platform_tests.some import some

ROWS, DAYS, FREEDOM = 300, 56, 49
# From row to row; the last measure is one value in nearly all rows.
SPREADS = np.array([1.0, 0.9, 0.4, 1.0, 0.6, 0.01])
BLOCKS = (
    Block("novelty", slice(0, 3), "single", tuple(SPREADS[:3])),
    Block("text", slice(3, 6), "single", tuple(SPREADS[3:])),
)


def reference(rng: np.random.Generator, ratios: np.ndarray | float = 1.0) -> Days:
    """Days whose measures vary so many times as much as their rows explain."""
    spread = np.sqrt(SPREADS * ratios / ROWS)
    means = rng.standard_normal((DAYS, 6)) * spread
    return Days(20458 + np.arange(DAYS), np.full(DAYS, float(ROWS)), means * ROWS)


@pytest.mark.parametrize(("differ", "least", "most"), [(0.0, 150, 1001), (1.0, 0, 12)])
def test_variances_borrow_from_each_other_as_far_as_they_agree(
    differ: float, least: float, most: float
) -> None:
    rng = np.random.default_rng(13)
    truth = np.exp(differ * rng.standard_normal(60))
    found = truth * rng.chisquare(49, 60) / 49
    better, gained = moderated(found, 49)
    assert least <= gained <= most
    assert (better >= found).all()
    # Those that were taken for too small come closer to the truth.
    low = found < truth
    error, before = (np.abs(np.log(each / truth))[low].mean() for each in (better, found))
    assert error < (0.5 * before if differ == 0 else 1.2 * before)


def test_measures_of_days_that_are_alike_know_their_variances_well() -> None:
    # By chance a family of five may seem to differ: most of the references, not all.
    rng = np.random.default_rng(1)
    fits = [fit_blocks(reference(rng), BLOCKS, FREEDOM) for _ in range(40)]
    assert np.mean([novelty.freedom > 150 for novelty, _ in fits]) > 0.6
    assert all(novelty.freedom == text.freedom for novelty, text in fits)
    # Days of one size that rows explain are of the rows' variance, or a little more.
    shown = np.array([[*n.scale**-2 * (1 + ROWS * n.tau)] for n, _ in fits]) / [1.0, 0.9, 0.5]
    assert (shown >= 1 - 1e-9).all() and np.median(shown) < 1.1


def test_measures_that_wobble_by_themselves_borrow_little() -> None:
    rng = np.random.default_rng(2)
    for _ in range(10):
        fits = fit_blocks(reference(rng, np.array([5, 7, 7, 4, 1, 1.0])), BLOCKS, FREEDOM)
        assert all(FREEDOM <= fit.freedom < 2 * FREEDOM for fit in some(fits))


def test_the_measures_of_one_block_do_not_vouch_for_each_other() -> None:
    # Novelty is three views of one thing. Alone, their likeness would pass for knowledge.
    days = reference(np.random.default_rng(3), np.array([7, 7, 7, 2, 1, 1.0]))
    together, _ = fit_blocks(days, BLOCKS, FREEDOM)
    (alone,) = fit_blocks(days, BLOCKS[:1], FREEDOM)
    assert together.freedom < alone.freedom / 2


def test_a_measure_that_hardly_varies_says_nothing_of_the_others() -> None:
    days = reference(np.random.default_rng(1))
    # It never shows in the reference: not even as much as its rows explain.
    days.sums[:, 5] = 0
    fits = fit_blocks(days, BLOCKS, FREEDOM)
    assert fits[1].freedom > 150
    # And two odd rows of 300 are no alarm for it.
    assert fits[1].scale[2] == pytest.approx(LEAST_VARIANCE**-0.5)


def test_without_a_family_a_measure_pays_for_its_few_days() -> None:
    block = Block("one", slice(0, 1), "single")
    (fit,) = fit_blocks(reference(np.random.default_rng(4), 3.0), (block,), FREEDOM)
    assert fit.freedom == FREEDOM
    assert fit.tau[0] * ROWS == pytest.approx(2.0, abs=1.2)
