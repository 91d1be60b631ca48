from __future__ import annotations

import numpy as np
import pytest

from vector_platform.quality.comparison import IncomparableReports
from vector_platform.quality.noninferiority import NonInferiority, not_inferior, queries_needed


def judged(
    differences: np.ndarray, slices: dict[str, str] | None = None, margin: float = 0.02
) -> NonInferiority:
    names = [f"q{number:05d}" for number in range(len(differences))]
    return not_inferior(
        dict.fromkeys(names, 0.5),
        dict(zip(names, (0.5 + differences).tolist(), strict=True)),
        slices or {},
        margin=margin,
        slice_margin=0.05,
    )


def spread(mean: float, queries: int, deviation: float = 0.115) -> np.ndarray:
    noise = np.random.default_rng(3).normal(size=queries)
    return mean + deviation * (noise - noise.mean()) / noise.std(ddof=1)


def test_the_queries_that_a_margin_takes() -> None:
    assert queries_needed(0.115, 0.02) == 365
    assert queries_needed(0.115, 0.01) == 1460
    # The textbook number at 5 % and 80 %.
    assert queries_needed(0.115, 0.01, alpha=0.05, power=0.8) == 818


@pytest.mark.parametrize(
    ("mean", "queries", "outcome"),
    [
        (0.0, 365, "pass"),
        (-0.01, 365, "undecided"),
        (-0.02, 365, "fail"),
        (-0.05, 365, "fail"),
        (0.0, 100, "undecided"),
        (0.0, 10, "undecided"),
        (-0.1, 100, "fail"),
        (0.1, 100, "pass"),
        (0.1, 10, "undecided"),
    ],
)
def test_what_the_numbers_support(mean: float, queries: int, outcome: str) -> None:
    assert judged(spread(mean, queries)).outcome == outcome


def test_identical_answers_pass_and_a_constant_loss_does_not() -> None:
    assert judged(np.zeros(50)).outcome == "pass"
    assert judged(np.full(50, -0.03)).outcome == "fail"
    assert judged(np.zeros(5)).outcome == "undecided"


def test_the_same_scores_give_the_same_answer_in_any_order() -> None:
    differences = spread(-0.004, 400)
    first = judged(differences)
    assert judged(differences) == first
    names = [f"q{number:05d}" for number in range(400)]
    order = np.random.default_rng(1).permutation(400)
    shuffled = not_inferior(
        {names[at]: 0.5 for at in order},
        {names[at]: 0.5 + float(differences[at]) for at in order},
        {},
        margin=0.02,
        slice_margin=0.05,
    )
    assert shuffled == first


def test_holm_lets_a_slice_fail_only_on_the_evidence_of_all_of_them() -> None:
    names = [f"q{number:05d}" for number in range(2000)]
    tenants = {name: f"t{number % 20}" for number, name in enumerate(names)}
    differences = spread(0.0, 2000)
    ill = np.array([tenants[name] == "t7" for name in names])
    assert judged(differences, tenants).outcome == "pass"
    found = judged(differences - 0.2 * ill, tenants)
    assert found.outcome == "fail" and "t7" in found.why
    assert [one.slice for one in found.slices if one.fails] == ["t7"]


def test_queries_of_one_side_only_are_no_comparison() -> None:
    with pytest.raises(IncomparableReports):
        not_inferior({"a": 1.0}, {"b": 1.0}, {}, margin=0.02, slice_margin=0.05)
    with pytest.raises(IncomparableReports):
        not_inferior({}, {}, {}, margin=0.02, slice_margin=0.05)
