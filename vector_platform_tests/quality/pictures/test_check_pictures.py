"""Pictures of checks: of one width, small whatever was measured, the same bytes every time."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from vector_platform.quality.pictures import check_pictures
from vector_platform.quality.pictures.markdown import SHOWN_CHARACTERS, quote, table
from vector_platform.quality.recall.index_recall import SliceRecall
from vector_platform.quality.recall.intervals import recall_interval
from vector_platform.quality.statistics import bootstrap_mean
from vector_platform_tests.pictures import size_of

START = datetime(2026, 3, 1, tzinfo=UTC)
Draw = Callable[[int], bytes]


def canaries(count: int) -> bytes:
    rng = np.random.default_rng(1)
    groups = ["many scripts"] * 8 + ["corpus"] * (count - 8)
    distances = rng.exponential(1e-5, count) * (rng.random(count) < 0.5)
    return check_pictures.canary_distances(distances, groups, tolerance=1e-5, title="canaries")


def slices(count: int) -> bytes:
    rng = np.random.default_rng(2)
    found = [
        SliceRecall(f"tenant {n} " + "with a long name " * 5, recall_interval(rng.random(50), k=10))
        for n in range(count)
    ]
    return check_pictures.recall_bars(found, floor=0.9, k=10, title="slices")


def curves(count: int) -> bytes:
    rng = np.random.default_rng(3)
    recalls = [recall_interval(rng.random(50), k=k + 1) for k in range(count)]
    return check_pictures.recall_curves({"all": recalls, "worst": recalls}, floor=0.9, title="k")


def line(count: int, *, logarithmic: bool = False) -> bytes:
    rng = np.random.default_rng(4)
    times = [START + timedelta(hours=n) for n in range(count)]
    return check_pictures.time_line(
        times,
        {"all": rng.random(count).tolist(), "worst": [0.0] * count},
        threshold=0.9,
        threshold_name="floor",
        measured="recall",
        title="over time",
        marks={times[0]: "g0001", times[-1]: "g0002"},
        logarithmic=logarithmic,
    )


def logarithmic_line(count: int) -> bytes:
    return line(count, logarithmic=True)


def calm_line(count: int) -> bytes:
    """Nothing has ever differed: the threshold must be in the picture all the same."""
    times = [START + timedelta(hours=n) for n in range(count)]
    return check_pictures.time_line(
        times,
        {"farthest": [0.0] * count},
        threshold=1e-5,
        threshold_name="tolerance",
        measured="difference",
        title="calm",
        logarithmic=True,
    )


def pairs(count: int) -> bytes:
    differences = np.random.default_rng(5).normal(-0.05, 0.3, count)
    return check_pictures.paired_differences(
        differences,
        bootstrap_mean(differences, seed=0),
        margin=0.01,
        metric="nDCG@10",
        title="queries",
    )


def counts(count: int) -> bytes:
    found = {f"tenant {n}": {"missing": n + 1, "orphaned": 2 * n} for n in range(count)}
    return check_pictures.stacked_counts(found, measured="rows", title="rows that differ")


# Each with a few and with many: (few, many).
DRAWN: dict[Draw, tuple[int, int]] = {
    canaries: (9, 36),
    slices: (1, 500),
    curves: (2, 10),
    line: (2, 60),
    logarithmic_line: (2, 60),
    calm_line: (2, 60),
    pairs: (1, 50_000),
    counts: (1, 5_000),
}


# All but what the collector finds of the tests before.
@pytest.mark.filterwarnings("error", "ignore::ResourceWarning")
@pytest.mark.parametrize("draw", DRAWN, ids=lambda draw: draw.__name__)
def test_a_picture_is_as_wide_as_all_and_small_whatever_was_measured(draw: Draw) -> None:
    for count in DRAWN[draw]:
        png = draw(count)
        width, height = size_of(png)
        assert width == 640 and 100 < height < 450
        assert len(png) < 20_000


@pytest.mark.parametrize("draw", DRAWN, ids=lambda draw: draw.__name__)
def test_the_same_numbers_are_the_same_bytes_and_others_are_not(draw: Draw) -> None:
    few, many = DRAWN[draw]
    assert draw(few) == draw(few) != draw(many)


def test_a_quoted_text_is_one_short_line_that_means_nothing_to_markdown() -> None:
    assert quote("one\n two\t`three` <b>four</b> [five](six)") == (
        "one two \\`three\\` \\<b>four\\</b> \\[five\\](six)"
    )
    assert len(quote("word " * 1000)) == SHOWN_CHARACTERS + 1


def test_a_cell_ends_neither_its_column_nor_its_row() -> None:
    assert table(("a", "b"), [("1 | 2", "3\n4")]) == [
        "| a | b |",
        "| --- | --- |",
        "| 1 \\| 2 | 3 4 |",
    ]


@pytest.mark.parametrize("apart", [0, 1e-6, 1.0])
def test_evaluations_of_one_moment_are_drawn_without_a_complaint(apart: float) -> None:
    first = datetime(2026, 1, 1, tzinfo=UTC)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_pictures.time_line(
            [first, first + timedelta(seconds=apart)],
            {"recall": [0.9, 0.8]},
            threshold=0.7,
            threshold_name="floor",
            measured="recall",
            title="two at once",
        )
