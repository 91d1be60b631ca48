"""Diagnosis: from the newest verdicts of a model version to exactly one reason for each fault.

Belongs here: the order in which verdicts explain each other, and the action that fits each kind of
fault, pure.

A fault shows in many checks at once: a model that was changed under its name moves the
distribution, loses golden queries and recall. So verdicts are read in an order, and what an
earlier one explains is no fault of its own: canary, contract, index against lake, recall,
debris in the texts, quality, drift. A check that has not run, has failed to run or has answered
"undecided" is unknown: it proves no fault, and it proves no health either. Where an earlier fault
would forbid an action, the action waits until that fault is known not to be there.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from vector_platform.remediation.faults import (
    ACTIONS,
    CANARY,
    CHUNKS,
    CONTRACT,
    DRIFT,
    NEVER,
    OF_AN_INDEX,
    PARITY,
    QUALITY,
    RECALL,
    REFUSED,
    RULED_OUT_BY,
    VECTORS,
    Diagnosis,
    Kind,
    Limits,
    Scope,
    Verdict,
)

# What the contract check counts when vectors come from other weights than the registered ones.
_FINGERPRINT_BROKEN = "rows_breaking_fingerprint_is_registered"


def diagnose(
    model_version: str,
    verdicts: Iterable[Verdict],
    *,
    backends: Sequence[str],
    limits: Limits | None = None,
) -> list[Diagnosis]:
    """What is wrong with a model version, worst first.

    Args:
        model_version: Whose verdicts. Those of no model version (the chunks) count for all.
        verdicts: The newest of each check; what is missing is unknown.
        backends: Backends whose index must be faithful before anything else is blamed.
        limits: Bounds of a churned index.
    """
    seen = _Verdicts(model_version, verdicts, backends)
    whole = _model_changed(seen) or _contract_broken(seen)
    if whole:
        return [whole]
    refused = [_refused(seen, v) for v in seen.failed(REFUSED)]
    unfaithful = [found for backend in backends if (found := _unfaithful(seen, backend))]
    if unfaithful:
        others = seen.failed_ids(QUALITY, DRIFT)
        first = replace(unfaithful[0], explains=unfaithful[0].explains + others)
        return [first, *unfaithful[1:], *refused]
    churned = [
        found
        for verdict in seen.of(RECALL)
        if (found := _churned(seen, verdict, limits or Limits()))
    ]
    statistical = _ingest_damaged(seen) or _quality_fell(seen)
    return [*churned, *([statistical] if statistical else _drift(seen)), *refused]


class _Verdicts:
    """The newest verdict of each check of one model version."""

    def __init__(
        self, model_version: str, verdicts: Iterable[Verdict], backends: Sequence[str]
    ) -> None:
        self.model_version = model_version
        self.backends = backends
        self._all = sorted(
            (
                _of_its_own(verdict)
                for verdict in verdicts
                if verdict.model_version in (model_version, None)
                and (verdict.backend is None or verdict.backend in backends)
            ),
            key=lambda verdict: (verdict.check, verdict.backend or ""),
        )

    def of(self, *checks: str, backend: str | None = None) -> list[Verdict]:
        return [v for v in self._all if v.check in checks and backend in (None, v.backend)]

    def failed(self, *checks: str, backend: str | None = None) -> list[Verdict]:
        return [v for v in self.of(*checks, backend=backend) if v.passed is False]

    def failed_ids(self, *checks: str, but: Collection[Verdict] = ()) -> tuple[str, ...]:
        wanted = checks or tuple({v.check for v in self._all})
        return _ids(v for v in self.failed(*wanted) if v not in but)

    def not_ruled_out(
        self, kind: Kind, *, backend: str | None = None, not_before: Verdict | None = None
    ) -> list[str]:
        """Checks that must pass before the action of a fault is taken, and do not.

        Args:
            kind: The fault.
            backend: Its backend; without one, every index must be well.
            not_before: An alarm that the checks of what it alarmed for must not be older than.
        """
        missing = []
        for earlier, checks in RULED_OUT_BY.items():
            if earlier == kind:
                break
            if ACTIONS[kind] not in NEVER[earlier]:
                continue
            for check in checks:
                # What vectors are made from is checked before they are, so never after an alarm.
                alarm = None if check == CHUNKS else not_before
                every = (backend,) if backend else self.backends
                for place in every if check in OF_AN_INDEX else (None,):
                    found = self.of(check, backend=place)
                    if not any(_is_well(v) and _is_as_new(v, alarm) for v in found):
                        missing.append(f"{check} on {place}" if place else check)
        return missing


def _model_changed(seen: _Verdicts) -> Diagnosis | None:
    proof = seen.failed(CANARY)
    proof += [v for v in seen.failed(VECTORS) if v.facts.get(_FINGERPRINT_BROKEN, 0) > 0]
    if not proof:
        return None
    return Diagnosis(
        "model_changed",
        ACTIONS["model_changed"],
        Scope(seen.model_version),
        f"{_names(proof)} failed: texts no longer get the vectors they were registered with",
        _ids(proof),
        seen.failed_ids(but=proof),
    )


def _contract_broken(seen: _Verdicts) -> Diagnosis | None:
    proof = seen.failed(*CONTRACT)
    if not proof:
        return None
    return Diagnosis(
        "contract_broken",
        ACTIONS["contract_broken"],
        Scope(seen.model_version),
        f"{_names(proof)} failed: rows of the lake break the contract",
        _ids(proof),
        seen.failed_ids(but=proof),
    )


def _unfaithful(seen: _Verdicts, backend: str) -> Diagnosis | None:
    """An index that differs from the lake, or no longer finds what is in it."""
    scope = Scope(seen.model_version, backend)
    lost = seen.failed(RECALL, backend=backend)
    diverged = seen.failed(PARITY, backend=backend)
    if diverged:
        return Diagnosis(
            "index_diverged",
            ACTIONS["index_diverged"],
            scope,
            "ids or digests of the index differ from the lake",
            _ids(diverged),
            _ids(lost),
        )
    if lost:
        facts = lost[0].facts
        why = (
            f"recall {_number(facts, 'worst_recall')} is below the floor of "
            f"{_number(facts, 'floor')} on the slice {facts.get('worst_slice', 'not named')}"
        )
        return _acted_on_if_known(seen, "recall_lost", scope, why, lost)
    return None


def _churned(seen: _Verdicts, verdict: Verdict, limits: Limits) -> Diagnosis | None:
    """An index that still finds everything, but carries what has been deleted."""
    deleted, latency = verdict.facts.get("deleted_share"), verdict.facts.get("p95_latency_ms")
    reasons = []
    if deleted is not None and deleted > limits.deleted_share:
        reasons.append(f"{deleted:.0%} of its rows are deleted ones")
    if latency is not None and limits.p95_latency_ms and latency > limits.p95_latency_ms:
        reasons.append(f"95 % of queries take up to {latency:.1f} ms")
    if verdict.passed is None or not reasons:
        return None
    scope = Scope(seen.model_version, verdict.backend or "")
    return _acted_on_if_known(seen, "index_churned", scope, " and ".join(reasons), [verdict])


def _refused(seen: _Verdicts, verdict: Verdict) -> Diagnosis:
    return Diagnosis(
        "rows_refused",
        ACTIONS["rows_refused"],
        Scope(seen.model_version, verdict.backend or ""),
        f"the backend refuses {_number(verdict.facts, 'refused')} rows; rejected_rows says why",
        _ids([verdict]),
    )


def _ingest_damaged(seen: _Verdicts) -> Diagnosis | None:
    """Debris that the contract lets through: nothing may learn from it, and no model made it."""
    alarms = [v for v in seen.failed(DRIFT) if v.facts.get("damaged") is True]
    if not alarms:
        return None
    facts = alarms[0].facts
    slices = [f"{s.get('tenant')} {s.get('source')}" for s in facts.get("slices_alarmed") or []]
    where = f", in {', '.join(slices)}" if slices else ""
    return Diagnosis(
        "ingest_damaged",
        ACTIONS["ingest_damaged"],
        Scope(seen.model_version),
        f"at least {_number(facts, 'markup_low')} of the texts hold more markup than the "
        f"reference does{where}",
        _ids(alarms),
        seen.failed_ids(QUALITY),
    )


def _quality_fell(seen: _Verdicts) -> Diagnosis | None:
    fell = seen.failed(QUALITY)
    if not fell:
        return None
    found = _acted_on_if_known(
        seen,
        "quality_fell",
        Scope(seen.model_version),
        f"retrieval quality fell by {_number(fell[0].facts, 'difference')}",
        fell,
    )
    return replace(found, explains=seen.failed_ids(DRIFT))


def _drift(seen: _Verdicts) -> list[Diagnosis]:
    """A moved distribution, overall or of slices. It alone never proves that anything is broken."""
    alarms = seen.failed(DRIFT)
    if not alarms:
        return []
    alarm = alarms[0]
    facts = alarm.facts
    slices = [_slice_moved(seen, alarm, one) for one in facts.get("slices_alarmed") or []]
    if facts.get("global_alarm") is True:
        whole = _moved(seen, alarm)
        # A slice that is new for the most part may move the whole as well, if only a little.
        acting = [one for one in slices if one.action != "watch"]
        return acting if acting and whole.action == "watch" else [whole]
    if facts.get("global_alarm") is False and slices:
        return slices
    return [
        Diagnosis(
            "distribution_moved",
            "watch",
            Scope(seen.model_version),
            f"the check failed ({facts.get('outcome', 'no outcome')}) but names neither the "
            "whole nor a slice",
            _ids([alarm]),
        )
    ]


def _slice_moved(seen: _Verdicts, alarm: Verdict, one: Mapping[str, Any]) -> Diagnosis:
    """A slice that alarms while the whole does not act; one that has hardly changed is watched."""
    parts = {part: str(one.get(part, "")) for part in ("tenant", "source", "since")}
    whole = "has hardly changed" if alarm.facts.get("global_alarm") is True else "is quiet"
    why = (
        f"the distribution of this slice moved while the whole {whole}: at least "
        f"{_number(one, 'novel_share_low')} of it is new"
    )
    if one.get("damaged") is True:
        why += (
            f", and at least {_number(one, 'markup_low')} of its texts hold more markup than before"
        )
    acts = one.get("acts") is True
    return Diagnosis(
        "slice_moved",
        ACTIONS["slice_moved"] if acts else "watch",
        Scope(seen.model_version, **parts),
        why if acts else f"{why}, which is below what acts",
        _ids([alarm]),
    )


def _moved(seen: _Verdicts, alarm: Verdict) -> Diagnosis:
    share = _number(alarm.facts, "novel_share_low")
    scope = Scope(seen.model_version)
    why = f"the distribution moved: at least {share} of it is new"
    if alarm.facts.get("acts") is not True:
        why += ", which is below what acts"
        return Diagnosis("distribution_moved", "watch", scope, why, _ids([alarm]))
    missing = int(alarm.facts.get("days_missing") or 0)
    if missing:
        why += f"; {missing} more day(s) of it must come before they can be a reference"
        return Diagnosis("distribution_moved", "await_evidence", scope, why, _ids([alarm]))
    # The evidence must be about the vectors that moved: an older one has not seen them.
    return _acted_on_if_known(seen, "distribution_moved", scope, why, [alarm], not_before=alarm)


def _acted_on_if_known(
    seen: _Verdicts,
    kind: Kind,
    scope: Scope,
    why: str,
    proof: Sequence[Verdict],
    *,
    not_before: Verdict | None = None,
) -> Diagnosis:
    """A fault with its action; the action waits while something that would forbid it is unknown."""
    missing = seen.not_ruled_out(kind, backend=scope.backend or None, not_before=not_before)
    if not missing:
        return Diagnosis(kind, ACTIONS[kind], scope, why, _ids(proof))
    since = " since then" if not_before else ""
    unknown = f"{why}; not known to hold{since}: {', '.join(missing)}"
    return Diagnosis(kind, "await_evidence", scope, unknown, _ids(proof))


def _of_its_own(verdict: Verdict) -> Verdict:
    """A challenger that finds less than the champion is no champion; nothing of it has fallen."""
    champion = verdict.facts.get("champion", verdict.model_version)
    if verdict.check == QUALITY and champion != verdict.model_version:
        return replace(verdict, passed=None)
    return verdict


def _is_well(verdict: Verdict) -> bool:
    """Whether a verdict rules its fault out. Content may move; debris is diagnosed before that."""
    return verdict.passed is not None if verdict.check == DRIFT else verdict.passed is True


def _is_as_new(verdict: Verdict, other: Verdict | None) -> bool:
    """Whether a verdict is of the same run as another, or later."""
    return other is None or verdict.run_id == other.run_id or verdict.at >= other.at


def _ids(verdicts: Iterable[Verdict]) -> tuple[str, ...]:
    return tuple(sorted({verdict.evaluation_id for verdict in verdicts}))


def _names(verdicts: Iterable[Verdict]) -> str:
    return ", ".join(sorted({verdict.check for verdict in verdicts}))


def _number(facts: Mapping[str, Any], name: str) -> str:
    value = facts.get(name)
    return f"{value:.3g}" if isinstance(value, (int, float)) else "an unknown number"
