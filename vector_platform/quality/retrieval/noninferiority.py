"""Is a challenger not worse than the champion, and can the queries at hand tell?

Belongs here: the test of non-inferiority on paired per-query scores, the number of queries that
its power asks for, and the test of single slices.

Two questions. Is a loss of the margin ruled out, whatever the queries at hand have not shown? Is
any slice proven to lose more than its own margin, though the mean hides it?
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from vector_platform.quality.retrieval.comparison import MIN_QUERIES, IncomparableReports
from vector_platform.quality.statistics import (
    Estimate,
    Numbers,
    bootstrap_mean,
    mean_at_most_p_value,
)

Outcome = Literal["pass", "fail", "undecided"]

# At most one in forty models that are worse by the margin may pass. The p-value is drawn, and
# this is a fortieth less what the draws may be wrong by.
ALPHA = 0.0225
# So that an equal challenger passes in four cases of five though its spread is estimated, too.
PLANNED_POWER = 0.84
# Queries times margin that it takes to rule out rare losses of all there is to lose, when not one
# was seen: -ln(ALPHA) = 3.8, and a little for the spread of what was seen.
RARE_LOSS = 4.2
# Scores are between 0 and 1, so this is the worst that a query can lose.
WORST = -1.0
# Slices of fewer queries have intervals that say nothing.
MIN_SLICE_QUERIES = 50
# All slices together: how often one of them fails a challenger that loses just its margin there.
SLICE_ALPHA = 0.05


@dataclass(frozen=True)
class SliceDifference:
    """Challenger minus champion on the questions of one slice.

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
        outcome: `pass`, `fail`, or `undecided`: more queries, or other ones, are needed.
        why: The reason in words.
        difference: Mean difference with its 95 % interval and the number of questions; positive
            favours the challenger.
        p_value: One-sided test of "worse by the margin or more"; small is good.
        deviation: Standard deviation of the differences.
        queries_needed: Questions that tell a loss of the margin from none, at that deviation.
        slices: Slices with enough questions, by name.
    """

    outcome: Outcome
    why: str
    difference: Estimate
    p_value: float
    deviation: float
    queries_needed: int
    slices: tuple[SliceDifference, ...]


def queries_needed(deviation: float, margin: float) -> int:
    """Questions with which an equal challenger passes at a margin in four cases of five.

    n = ((z(1 - alpha) + z(power)) * deviation / margin)^2, the textbook size of a one-sided
    paired comparison, and `RARE_LOSS` / margin for losses too rare to show in the deviation. At
    the deviation .115 of real nDCG@10 differences: 1,610 for a margin of .01, 508 for .02.
    """
    from scipy.stats import norm

    spread = float(norm.ppf(1 - ALPHA) + norm.ppf(PLANNED_POWER)) * deviation / margin
    return max(MIN_QUERIES, math.ceil(spread**2 + RARE_LOSS / margin))


def not_inferior(
    champion: Mapping[str, float],
    challenger: Mapping[str, float],
    slices: Mapping[str, Sequence[str]],
    *,
    margin: float,
    slice_margin: float,
    groups: Mapping[str, str] | None = None,
    identical: bool = False,
    seed: int = 0,
) -> NonInferiority:
    """Judge a challenger on the champion's own queries.

    Nothing passes by looking alike: a loss that few queries would show and none has shown is not
    ruled out by few queries. Scores that all tie say nothing of two models that answer
    differently, so they decide nothing unless the answers are the same ones.

    Args:
        champion: Score of each query, between 0 and 1.
        challenger: Score of the same queries.
        slices: Slices of each query; queries without one are in no slice.
        margin: Largest loss of the mean that counts as no loss.
        slice_margin: Largest loss of a slice.
        groups: Query -> the question that it asks, where several ask the same; a question counts
            once, with the mean of its queries. Default: all ask something else.
        identical: Whether both sides gave the same answers to every query.
        seed: Of the resampling.

    Raises:
        IncomparableReports: The two sides do not hold the same queries.
    """
    if set(champion) != set(challenger) or not champion:
        raise IncomparableReports(
            f"{len(set(champion) ^ set(challenger))} queries are in one of the two evaluations "
            f"only, {len(set(champion) & set(challenger))} in both"
        )
    asked: dict[str, list[float]] = {}
    named: dict[str, Sequence[str]] = {}
    for query in sorted(champion):
        question = (groups or {}).get(query, query)
        asked.setdefault(question, []).append(challenger[query] - champion[query])
        # By the first query that is asked: the one the group is named after may be left out.
        named.setdefault(question, slices.get(query, ()))
    questions = {question: float(np.mean(found)) for question, found in asked.items()}
    differences = np.array(list(questions.values()))
    judged = _slices(questions, named, slice_margin, seed)
    difference = bootstrap_mean(differences, seed=seed)
    p_value = mean_at_most_p_value(differences, -margin, lowest=WORST, seed=seed)
    deviation = float(differences.std(ddof=1)) if len(differences) > 1 else math.inf
    enough = queries_needed(deviation, margin) if math.isfinite(deviation) else MIN_QUERIES
    tie = not differences.any()
    outcome, why = _verdict(difference, p_value, margin, enough, judged, tie, identical)
    return NonInferiority(outcome, why, difference, p_value, deviation, enough, judged)


def _verdict(
    difference: Estimate,
    p_value: float,
    margin: float,
    enough: int,
    slices: tuple[SliceDifference, ...],
    tie: bool,
    identical: bool,
) -> tuple[Outcome, str]:
    count = difference.count
    lost = [f"{one.slice} {one.difference.mean:+.4f}" for one in slices if one.fails]
    if lost:
        return "fail", f"slices lose more than their margin: {', '.join(lost)}"
    if count < MIN_QUERIES:
        return "undecided", f"{count} questions decide nothing; {MIN_QUERIES} are the least"
    if difference.high < 0 and difference.low <= -margin:
        return "fail", f"worse than the champion by {-difference.mean:.4f} on average"
    if tie and identical:
        return "pass", "both give the same answers to every query"
    if tie:
        return "undecided", (
            "every score ties although the answers differ, so the queries cannot tell the two "
            "apart; add queries that neither answers perfectly nor not at all"
        )
    if p_value <= ALPHA:
        return "pass", f"a loss of {margin:g} is ruled out"
    if count < enough:
        return "undecided", (
            f"{count} questions are too few to rule out a loss of {margin:g}, seen or not yet "
            f"seen; about {enough} would do"
        )
    return "undecided", f"{count} questions neither rule out a loss of {margin:g} nor show one"


def _slices(
    questions: Mapping[str, float], slices: Mapping[str, Sequence[str]], margin: float, seed: int
) -> tuple[SliceDifference, ...]:
    """Slices with enough questions, tested together by Holm's procedure (Holm, 1979)."""
    members: dict[str, list[float]] = {}
    for question, value in questions.items():
        for name in slices.get(question, ()):
            members.setdefault(name, []).append(value)
    judged: dict[str, Numbers] = {
        name: np.array(values)
        for name, values in sorted(members.items())
        if len(values) >= MIN_SLICE_QUERIES
    }
    raw = {
        name: mean_at_most_p_value(-values, margin, lowest=WORST, seed=seed)
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
