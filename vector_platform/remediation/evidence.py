"""Evidence: what the newest verdicts of some checks prove, for each kind of fault.

Belongs here: functions from verdicts of one model version, or of one of its indexes, to what was
found in them, pure. Which of them counts is decided in `diagnosis.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from vector_platform.remediation.checks import CANARY, DRIFT, VECTORS
from vector_platform.remediation.faults import Action, Limits, Verdict

# What the contract check counts when vectors come from other weights than the registered ones.
_FINGERPRINT_BROKEN = "rows_breaking_fingerprint_is_registered"


@dataclass(frozen=True)
class Evidence:
    """That a fault is there.

    Attributes:
        why: In words.
        proof: Verdicts that prove it.
        instead: What is done about it, where that is not what the reaction does.
        slice: Parts of the scope below the model version, for a fault of one slice.
        not_before: An alarm that the checks of what it alarmed for must not be older than.
    """

    why: str
    proof: tuple[Verdict, ...]
    instead: Action | None = None
    slice: Mapping[str, str] | None = None
    not_before: Verdict | None = None


# The newest verdicts of the checks of a reaction, and the limits, to what they prove.
Finder = Callable[[Sequence[Verdict], Limits], Iterator[Evidence]]


def failed(why: Callable[[Verdict], str]) -> Finder:
    """A finder of what has failed: all of it is one fault.

    Args:
        why: From the first failed verdict, in words.
    """

    def find(verdicts: Sequence[Verdict], limits: Limits) -> Iterator[Evidence]:
        if proof := _failed(verdicts):
            yield Evidence(why(proof[0]), proof)

    return find


def model_changed(verdicts: Sequence[Verdict], limits: Limits) -> Iterator[Evidence]:
    """Canaries, or vectors of other weights than the registered ones."""
    proof = tuple(
        one
        for one in _failed(verdicts)
        if one.check == CANARY
        or (one.check == VECTORS and one.facts.get(_FINGERPRINT_BROKEN, 0) > 0)
    )
    if proof:
        why = "texts no longer get the vectors they were registered with"
        yield Evidence(f"{_names(proof)} failed: {why}", proof)


def contract_broken(verdicts: Sequence[Verdict], limits: Limits) -> Iterator[Evidence]:
    """Any of the contract checks."""
    if proof := _failed(verdicts):
        yield Evidence(f"{_names(proof)} failed: rows of the lake break the contract", proof)


def recall_lost(verdict: Verdict) -> str:
    """The worst slice and the floor."""
    facts = verdict.facts
    return (
        f"recall {number(facts, 'worst_recall')} is below the floor of "
        f"{number(facts, 'floor')} on the slice {facts.get('worst_slice', 'not named')}"
    )


def index_churned(verdicts: Sequence[Verdict], limits: Limits) -> Iterator[Evidence]:
    """An index that still finds everything, but carries what has been deleted."""
    for verdict in verdicts:
        deleted, latency = verdict.facts.get("deleted_share"), verdict.facts.get("p95_latency_ms")
        reasons = []
        if deleted is not None and deleted > limits.deleted_share:
            reasons.append(f"{deleted:.0%} of its rows are deleted ones")
        if latency is not None and limits.p95_latency_ms and latency > limits.p95_latency_ms:
            reasons.append(f"95 % of queries take up to {latency:.1f} ms")
        if verdict.passed is not None and reasons:
            yield Evidence(" and ".join(reasons), (verdict,))


def ingest_damaged(verdicts: Sequence[Verdict], limits: Limits) -> Iterator[Evidence]:
    """Debris that the contract lets through: nothing may learn from it, and no model made it."""
    alarms = tuple(one for one in _failed(verdicts) if one.facts.get("damaged") is True)
    if not alarms:
        return
    facts = alarms[0].facts
    slices = [f"{s.get('tenant')} {s.get('source')}" for s in facts.get("slices_alarmed") or []]
    where = f", in {', '.join(slices)}" if slices else ""
    yield Evidence(
        f"at least {number(facts, 'markup_low')} of the texts hold more markup than the "
        f"reference does{where}",
        alarms,
    )


def distribution_moved(verdicts: Sequence[Verdict], limits: Limits) -> Iterator[Evidence]:
    """The whole, where it is not slices alone. That never proves that anything is broken."""
    for alarm in _failed(verdicts)[:1]:
        facts = alarm.facts
        if facts.get("global_alarm") is True:
            moved = _whole_moved(alarm)
            # A slice that is new for the most part may move the whole as well, if only a little.
            if moved.instead != "observe" or not any(map(_acts, _slices(alarm))):
                yield moved
        elif facts.get("global_alarm") is not False or not _slices(alarm):
            yield Evidence(
                f"the check failed ({facts.get('outcome', 'no outcome')}) but names neither the "
                "whole nor a slice",
                (alarm,),
                "observe",
            )


def slice_moved(verdicts: Sequence[Verdict], limits: Limits) -> Iterator[Evidence]:
    """Slices that alarm while the whole does not act; what has hardly changed is only observed."""
    for alarm in _failed(verdicts)[:1]:
        whole_alarms = alarm.facts.get("global_alarm") is True
        whole = "has hardly changed" if whole_alarms else "is quiet"
        for one in _slices(alarm):
            if whole_alarms and not _acts(one):
                continue
            why = (
                f"the distribution of this slice moved while the whole {whole}: at least "
                f"{number(one, 'novel_share_low')} of it is new"
            )
            if one.get("damaged") is True:
                low = number(one, "markup_low")
                why += f", and at least {low} of its texts hold more markup than before"
            if not _acts(one):
                why += ", which is below what acts"
            parts = {part: str(one.get(part, "")) for part in ("tenant", "source", "since")}
            yield Evidence(why, (alarm,), None if _acts(one) else "observe", parts)


def rules_out(verdict: Verdict) -> bool:
    """Whether a verdict rules its fault out. Content may move; debris is diagnosed before that."""
    return verdict.passed is not None if verdict.check == DRIFT else verdict.passed is True


def number(facts: Mapping[str, Any], name: str) -> str:
    """A fact, in words."""
    value = facts.get(name)
    return f"{value:.3g}" if isinstance(value, (int, float)) else "an unknown number"


def _whole_moved(alarm: Verdict) -> Evidence:
    why = f"the distribution moved: at least {number(alarm.facts, 'novel_share_low')} of it is new"
    if alarm.facts.get("acts") is not True:
        return Evidence(f"{why}, which is below what acts", (alarm,), "observe")
    missing = int(alarm.facts.get("days_missing") or 0)
    if missing:
        why += f"; {missing} more day(s) of it must come before they can be a reference"
        return Evidence(why, (alarm,), "await_evidence")
    # The evidence must be about the vectors that moved: an older one has not seen them.
    return Evidence(why, (alarm,), not_before=alarm)


def _failed(verdicts: Sequence[Verdict]) -> tuple[Verdict, ...]:
    return tuple(one for one in verdicts if one.passed is False)


def _slices(alarm: Verdict) -> Sequence[Mapping[str, Any]]:
    return alarm.facts.get("slices_alarmed") or []


def _acts(one: Mapping[str, Any]) -> bool:
    return one.get("acts") is True


def _names(verdicts: Sequence[Verdict]) -> str:
    return ", ".join(sorted({verdict.check for verdict in verdicts}))
