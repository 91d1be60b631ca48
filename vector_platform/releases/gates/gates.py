"""Gates: what must hold before readers see a generation, judged from evidence alone.

Belongs here: the pure function from evidence and policy to a verdict for each gate. The same
evidence gives the same verdict, byte for byte: no clock, no unseeded draw.

`undecided` is an answer of its own: something was not measured, or too little of it to tell. It
is never taken for a pass.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

import numpy as np

from vector_platform.quality.recall.index_recall import IndexRecall, SliceRecall
from vector_platform.quality.retrieval.noninferiority import Outcome, not_inferior
from vector_platform.releases.evaluation.evidence import Evidence, QualityScores
from vector_platform.releases.gates.freezes import frozen_by
from vector_platform.settings import Releases

GateName = Literal["verify", "recall", "quality", "latency", "freeze"]

Numbers = Mapping[str, float | int | str]

# All stored rows, as a line in the table of slices.
EVERYTHING = "everything"
# Golden queries whose documents are gone: with more of them the set is no longer about this corpus.
MAX_DEAD_SHARE = 0.25
# A 95th percentile of fewer latencies is one bad moment.
MIN_LATENCIES = 50
# Below this nobody waits; a ratio of such latencies is noise of the machine.
UNNOTICED_MS = 5.0
RESAMPLES = 1000
SEED = 0


@dataclass(frozen=True)
class Gate:
    """The verdict of one gate.

    Attributes:
        name: Which gate.
        outcome: `pass`, `fail` or `undecided`.
        why: The reason in words.
        numbers: What it rests on, units in the names.
        table: Rows of the slices it looked at, all with the same keys.
    """

    name: GateName
    outcome: Outcome
    why: str
    numbers: Numbers = field(default_factory=dict)
    table: tuple[Numbers, ...] = ()


@dataclass(frozen=True)
class GateReport:
    """Every gate's verdict about one generation.

    Attributes:
        evidence: What it rests on.
        gates: One verdict a gate, in a fixed order.
    """

    evidence: Evidence
    gates: tuple[Gate, ...]

    def named(self, outcome: Outcome) -> tuple[GateName, ...]:
        """Gates with an outcome."""
        return tuple(gate.name for gate in self.gates if gate.outcome == outcome)

    @property
    def outcome(self) -> Outcome:
        """`fail` if any gate fails, else `undecided` if any is, else `pass`."""
        if self.named("fail"):
            return "fail"
        return "undecided" if self.named("undecided") else "pass"

    def describe(self) -> str:
        """One line: what stands in the way, or that nothing does."""
        open_gates = [g for g in self.gates if g.outcome != "pass"]
        if not open_gates:
            return "all gates pass"
        return "; ".join(f"{g.name} {_VERBS[g.outcome]}: {g.why}" for g in open_gates)


_VERBS: Mapping[Outcome, str] = {"pass": "passes", "fail": "fails", "undecided": "is undecided"}


def judge(evidence: Evidence, policy: Releases, *, moment: datetime) -> GateReport:
    """Judge a generation.

    Args:
        evidence: What was measured.
        policy: The bars.
        moment: When it would be released; only the freeze depends on it.
    """
    return GateReport(
        evidence,
        (
            _verify(evidence),
            _recall(evidence.index_recall, rows=evidence.rows),
            _quality(evidence, policy),
            _latency(evidence, policy.max_latency_ratio),
            _freeze(moment, policy),
        ),
    )


def _verify(evidence: Evidence) -> Gate:
    numbers: Numbers = {"rows": evidence.rows, "snapshot": evidence.snapshot}
    if evidence.differences:
        return Gate("verify", "fail", f"differs from the lake: {evidence.differences}", numbers)
    if evidence.snapshot != evidence.newest_snapshot:
        why = f"equal to {evidence.snapshot}, but the lake is at {evidence.newest_snapshot}"
        return Gate("verify", "fail", why, numbers)
    return Gate("verify", "pass", "equal to the newest snapshot of the lake", numbers)


def _recall(found: IndexRecall | None, *, rows: int) -> Gate:
    """All rows together must prove the floor; a slice must not be below it, nor look so.

    `IndexRecall` judges the slices together (Holm). A slice too small to be judged that lies below
    the floor with its whole interval is never taken for a pass. Where no row has another of its
    tenant there is nothing that a search could miss beside it, and no more will tell.
    """
    if found is not None and found.queries == 0 and rows:
        return Gate("recall", "pass", "no row has another one of its tenant to be found")
    if found is None or found.recall.queries == 0:
        return Gate("recall", "undecided", "not measured")
    whole, floor = found.recall, found.floor
    table: tuple[Numbers, ...] = (SliceRecall(EVERYTHING, whole).row(), *found.rows())
    numbers: Numbers = {
        "recall": round(whole.mean, 4),
        "recall_low": round(whole.low, 4),
        "floor": floor,
        "queries": found.queries,
    }
    below = [EVERYTHING] if whole.high < floor else []
    below += [each.name for each in found.slices if each.below]
    if below:
        return Gate("recall", "fail", f"below {floor:g} on {', '.join(below)}", numbers, table)
    unproven = [EVERYTHING] if whole.low < floor else []
    unproven += [
        each.name
        for each in found.slices
        if each.recall.mean < floor and (each.judged or each.recall.high < floor)
    ]
    if unproven:
        why = f"too few queries to tell whether {', '.join(unproven)} reaches {floor:g}"
        return Gate("recall", "undecided", why, numbers, table)
    why = f"at least {whole.low:.3f} of the exact answers, no slice below {floor:g}"
    return Gate("recall", "pass", why, numbers, table)


def _quality(evidence: Evidence, policy: Releases) -> Gate:
    if evidence.champion is None:
        return Gate("quality", "pass", "nothing is live that it could be worse than")
    if evidence.same_vectors:
        return Gate("quality", "pass", "the vectors of the live model; recall speaks for them")
    scores = evidence.quality
    if scores is None:
        why = "the two models have not been scored on the same golden queries and snapshot"
        return Gate("quality", "undecided", why)
    left_out: Numbers = {"queries_dead": scores.dead, "queries_trained_on": scores.seen}
    why = _cannot_judge(scores)
    if why:
        return Gate("quality", "undecided", why, left_out)
    found = not_inferior(
        scores.champion,
        scores.challenger,
        scores.slices,
        margin=policy.quality_margin,
        slice_margin=policy.slice_margin,
        groups=scores.groups,
        identical=scores.identical,
        seed=SEED,
    )
    return Gate(
        "quality",
        found.outcome,
        found.why,
        {
            "difference": round(found.difference.mean, 6),
            "difference_low": round(found.difference.low, 6),
            "difference_high": round(found.difference.high, 6),
            "p_value": found.p_value,
            "queries": len(scores.champion),
            "questions": found.difference.count,
            "questions_needed": found.queries_needed,
            **left_out,
            "margin": policy.quality_margin,
            "slice_margin": policy.slice_margin,
            "metric": scores.metric,
        },
        tuple(
            {
                "slice": each.slice,
                "difference": round(each.difference.mean, 4),
                "low": round(each.difference.low, 4),
                "high": round(each.difference.high, 4),
                "p_holm": round(each.p_value, 6),
                "queries": each.difference.count,
            }
            for each in found.slices
        ),
    )


def _cannot_judge(scores: QualityScores) -> str:
    """Why the golden queries say nothing of the two models; empty when they do."""
    asked = len(scores.champion) + scores.dead
    if scores.dead > MAX_DEAD_SHARE * (asked or 1):
        return (
            f"{scores.dead} of {asked} golden queries ask for documents that are gone; mend "
            "them first: vector-platform golden health"
        )
    if not scores.champion:
        return (
            f"one of the models was trained on all {scores.seen} golden queries; add queries "
            "that it has not seen"
        )
    return ""


def _latency(evidence: Evidence, max_ratio: float) -> Gate:
    if evidence.champion is None:
        return Gate("latency", "pass", "nothing is live that it could be slower than")
    before, after = np.array(evidence.champion_ms), np.array(evidence.challenger_ms)
    if len(before) != len(after) or not len(before):
        return Gate("latency", "undecided", "not measured", {"max_ratio": max_ratio})
    ratio, low = latency_ratio(before, after)
    numbers: Numbers = {
        "ratio": round(ratio, 4),
        "ratio_low": round(low, 4),
        "p95_ms": round(float(np.percentile(after, 95)), 3),
        "champion_p95_ms": round(float(np.percentile(before, 95)), 3),
        "max_ratio": max_ratio,
        "queries": len(after),
    }
    if float(np.percentile(after, 95)) <= UNNOTICED_MS:
        return Gate("latency", "pass", f"p95 is below {UNNOTICED_MS:g} ms", numbers)
    if low > max_ratio:
        why = f"p95 is {ratio:.2f} times that of the live generation"
        return Gate("latency", "fail", why, numbers)
    # On a busy machine single moments make the ratio large though neither side is slower.
    slower = ratio > max_ratio and low > 1
    if slower or len(after) < MIN_LATENCIES:
        why = f"{len(after)} queries do not tell whether p95 is within {max_ratio:g} times"
        return Gate("latency", "undecided", why, numbers)
    return Gate("latency", "pass", f"p95 is {ratio:.2f} times that of the live one", numbers)


def latency_ratio(before: np.ndarray, after: np.ndarray) -> tuple[float, float]:
    """Ratio of the 95th percentiles of paired latencies, and its lower 97.5 % bound."""
    rng = np.random.default_rng(SEED)
    picks = rng.integers(0, len(before), size=(RESAMPLES, len(before)))
    ratios = np.percentile(after[picks], 95, axis=1) / np.percentile(before[picks], 95, axis=1)
    ratio = float(np.percentile(after, 95) / np.percentile(before, 95))
    return ratio, float(np.quantile(ratios, 0.025))


def _freeze(moment: datetime, policy: Releases) -> Gate:
    window = frozen_by(moment, policy.freezes, policy.timezone)
    if window:
        return Gate("freeze", "fail", f"nothing is released during {window!r}")
    return Gate("freeze", "pass", "no freeze")
