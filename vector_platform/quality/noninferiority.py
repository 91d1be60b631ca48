"""Is a challenger not worse than the champion, and can the queries at hand tell?

Belongs here: the test of non-inferiority on paired per-query scores, the number of queries that
its power asks for, and the test of single slices. Does not belong here: how a score comes about
(`retrieval.py`), which margin is acceptable (settings), or what follows (`releases`).

Three questions, in this order. Are the queries enough to tell a loss of the margin from none?
Does the mean difference stay above minus the margin? Is any slice proven to lose more than its
own margin, though the mean hides it?
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np

from vector_platform.quality.comparison import MIN_QUERIES, IncomparableReports
from vector_platform.quality.statistics import (
    Estimate,
    Numbers,
    bootstrap_mean,
    sign_flip_p_value,
)

Outcome = Literal["pass", "fail", "undecided"]

# At most one in forty models that are worse by the margin may pass. Differences of rankings are
# skewed and full of zeros: tests at .0125 then let 2.1 % pass, tests at .02 let 3 % pass
# (simulated by benchmarks/gate.py).
ALPHA = 0.0125
# So that an equal challenger passes in four cases of five though its spread is estimated, too.
PLANNED_POWER = 0.86
# Slices of fewer queries have intervals that say nothing.
MIN_SLICE_QUERIES = 50
# All slices together: how often one of them fails a challenger that loses just its margin there.
SLICE_ALPHA = 0.05
# Spread is believed to be smaller than measured by no more than chance explains at this level.
SPREAD_CONFIDENCE = 0.95


@dataclass(frozen=True)
class SliceDifference:
    """Challenger minus champion on the queries of one slice.

    Attributes:
        slice: Name of the slice.
        difference: Mean difference and its 95 % interval.
        p_value: Holm-adjusted p of "the slice loses no more than the margin"; small is bad.
        fails: Whether a loss beyond the margin is proven, all judged slices together.
    """

    slice: str
    difference: Estimate
    p_value: float
    fails: bool


@dataclass(frozen=True)
class NonInferiority:
    """The answer, with everything it rests on.

    Attributes:
        outcome: `pass`, `fail`, or `undecided`: more queries are needed.
        why: The reason in words.
        difference: Mean difference and its 95 % interval; positive favours the challenger.
        p_value: One-sided randomisation test of "worse by the margin"; small is good.
        deviation: Standard deviation of the per-query differences.
        queries_needed: Queries that tell a loss of the margin from none, at that deviation.
        slices: Slices with enough queries, by name.
    """

    outcome: Outcome
    why: str
    difference: Estimate
    p_value: float
    deviation: float
    queries_needed: int
    slices: tuple[SliceDifference, ...]


def queries_needed(
    deviation: float, margin: float, *, alpha: float = ALPHA, power: float = PLANNED_POWER
) -> int:
    """Queries with which an equal challenger passes at a margin with the planned power.

    n = ((z(1 - alpha) + z(power)) * deviation / margin)^2, the textbook size of a one-sided
    paired comparison. At the deviation .115 of real nDCG@10 differences: 1,460 queries for a
    margin of .01, 365 for .02.
    """
    from scipy.stats import norm

    spread = float(norm.ppf(1 - alpha) + norm.ppf(power)) * deviation / margin
    return max(MIN_QUERIES, math.ceil(spread**2))


def not_inferior(
    champion: Mapping[str, float],
    challenger: Mapping[str, float],
    slices: Mapping[str, str],
    *,
    margin: float,
    slice_margin: float,
    seed: int = 0,
) -> NonInferiority:
    """Judge a challenger on the champion's own queries.

    With too few queries nothing passes by looking alike; a challenger that is proven *better*
    passes with any number from `MIN_QUERIES` on, since that proof does not lean on the margin.

    Args:
        champion: Score of each query.
        challenger: Score of the same queries.
        slices: Slice of each query; queries without one are in no slice.
        margin: Largest loss of the mean that counts as no loss.
        slice_margin: Largest loss of a slice.
        seed: Of the resampling.

    Raises:
        IncomparableReports: The two sides do not hold the same queries.
    """
    if set(champion) != set(challenger) or not champion:
        raise IncomparableReports(
            f"{len(set(champion) ^ set(challenger))} queries are in one of the two evaluations "
            f"only, {len(set(champion) & set(challenger))} in both"
        )
    queries = sorted(champion)
    differences = np.array([challenger[query] - champion[query] for query in queries])
    judged = _slices(queries, differences, slices, slice_margin, seed)
    difference = bootstrap_mean(differences, seed=seed)
    p_value = sign_flip_p_value(differences + margin, seed=seed, one_sided=True)
    deviation = float(differences.std(ddof=1)) if len(queries) > 1 else math.inf
    enough = queries_needed(deviation, margin) if math.isfinite(deviation) else MIN_QUERIES
    outcome, why = _verdict(differences, difference, p_value, margin, enough, judged, seed)
    return NonInferiority(outcome, why, difference, p_value, deviation, enough, judged)


def _verdict(
    differences: Numbers,
    difference: Estimate,
    p_value: float,
    margin: float,
    enough: int,
    slices: tuple[SliceDifference, ...],
    seed: int,
) -> tuple[Outcome, str]:
    count = len(differences)
    lost = [f"{one.slice} {one.difference.mean:+.4f}" for one in slices if one.fails]
    if lost:
        return "fail", f"slices lose more than their margin: {', '.join(lost)}"
    if count >= MIN_QUERIES and difference.high < 0 and difference.low <= -margin:
        return "fail", f"worse than the champion by {-difference.mean:.4f} on average"
    if count < MIN_QUERIES or count < _provably_needed(differences, margin):
        if count >= MIN_QUERIES and difference.low > 0:
            better = sign_flip_p_value(differences, seed=seed, one_sided=True)
            if better <= ALPHA:
                return "pass", "better than the champion, which few queries suffice to show"
        return "undecided", (
            f"{count} queries are too few to see a loss of {margin:g}; about {enough} would do"
        )
    if difference.low > -margin and p_value <= ALPHA:
        return "pass", f"a loss of {margin:g} is ruled out"
    return "undecided", f"{count} queries neither rule out a loss of {margin:g} nor show one"


def _provably_needed(differences: Numbers, margin: float) -> int:
    """Queries needed if the true spread were as small as the measured one lets believe.

    Asking for `queries_needed` of the measured spread would call half of all well-planned
    comparisons too small: a measured spread is above the true one half of the time.
    """
    from scipy.stats import chi2

    freedom = len(differences) - 1
    shrunk = math.sqrt(freedom / float(chi2.ppf(SPREAD_CONFIDENCE, freedom)))
    return queries_needed(float(differences.std(ddof=1)) * shrunk, margin)


def _slices(
    queries: list[str],
    differences: Numbers,
    slices: Mapping[str, str],
    margin: float,
    seed: int,
) -> tuple[SliceDifference, ...]:
    """Slices with enough queries, tested together by Holm's procedure (Holm, 1979)."""
    members: dict[str, list[float]] = {}
    for query, value in zip(queries, differences, strict=True):
        if query in slices:
            members.setdefault(slices[query], []).append(float(value))
    judged = {
        name: np.array(values)
        for name, values in sorted(members.items())
        if len(values) >= MIN_SLICE_QUERIES
    }
    raw = {
        name: sign_flip_p_value(-(values + margin), seed=seed, one_sided=True)
        for name, values in judged.items()
    }
    adjusted: dict[str, float] = {}
    highest = 0.0
    for place, name in enumerate(sorted(raw, key=lambda name: (raw[name], name))):
        highest = max(highest, min(1.0, raw[name] * (len(raw) - place)))
        adjusted[name] = highest
    return tuple(
        SliceDifference(
            name,
            bootstrap_mean(values, seed=seed),
            adjusted[name],
            adjusted[name] <= SLICE_ALPHA,
        )
        for name, values in judged.items()
    )
