"""Diagnosis: from the newest verdicts of a model version to exactly one reason for each fault.

Belongs here: the order in which verdicts explain each other, and the action that fits each kind
of fault, pure. Does not belong here: reading verdicts (`orchestration/check_results.py`) or
deciding whether to act now (`acting.py`).

A fault shows in many checks at once: a model that was changed under its name moves the
distribution, loses golden queries and recall. So verdicts are read in an order, and what an
earlier one explains is no fault of its own: canary, contract, index against lake, recall,
quality, drift. A check that has not run, has failed to run or has answered "undecided" is
unknown: it proves no fault, and it proves no health either.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, Literal

CANARY = "model_answers_as_registered"
CONTRACT = ("chunks_keep_the_contract", "vectors_keep_the_contract", "every_chunk_is_embedded")
VECTORS = "vectors_keep_the_contract"
PARITY = "index_matches_lake"
REFUSED = "every_row_is_indexed"
RECALL = "index_recall_holds"
QUALITY = "retrieval_quality_holds"
DRIFT = "distribution_has_not_drifted"

# Time of a verdict that does not say when it came.
_LONG_AGO = datetime.min.replace(tzinfo=UTC)
# What the contract check counts when vectors come from other weights than the registered ones.
_FINGERPRINT_BROKEN = "rows_breaking_fingerprint_is_registered"

Kind = Literal[
    "model_changed",
    "contract_broken",
    "index_diverged",
    "rows_refused",
    "recall_lost",
    "index_churned",
    "quality_fell",
    "distribution_moved",
    "slice_moved",
]
Action = Literal[
    "propose_version",
    "quarantine_and_replay",
    "repair",
    "mend_source",
    "rebuild",
    "retrain",
    "accept_reference",
    "quarantine_slice",
    "await_evidence",
    "watch",
]

ACTIONS: Mapping[Kind, Action] = {
    "model_changed": "propose_version",
    "contract_broken": "quarantine_and_replay",
    "index_diverged": "repair",
    "rows_refused": "mend_source",
    "recall_lost": "rebuild",
    "index_churned": "rebuild",
    "quality_fell": "retrain",
    "distribution_moved": "accept_reference",
    "slice_moved": "quarantine_slice",
}
# What would make the fault worse, or hide it. `propose_version` is what re-embeds.
NEVER: Mapping[Kind, tuple[Action, ...]] = {
    "model_changed": ("rebuild", "accept_reference"),
    "contract_broken": ("accept_reference", "rebuild"),
    "index_diverged": ("accept_reference", "retrain", "propose_version"),
    "rows_refused": ("accept_reference", "retrain", "propose_version", "rebuild"),
    "recall_lost": ("propose_version", "retrain", "accept_reference"),
    "index_churned": ("propose_version", "retrain"),
    "quality_fell": ("rebuild", "accept_reference"),
    "distribution_moved": ("propose_version",),
    "slice_moved": ("propose_version", "retrain", "rebuild", "accept_reference"),
}


@dataclass(frozen=True)
class Verdict:
    """The newest answer of one check.

    Attributes:
        check: Its name.
        asset: What it looked at, e.g. `lake/embeddings`.
        model_version: The partition; None for a check that is not of one model version.
        backend: Backend of an index check.
        passed: The answer; None when there is none: not run, not able to run, undecided.
        evaluation_id: Identity of the measurement: the same one never acts twice.
        run_id: Run that evaluated it.
        at: When.
        facts: Its metadata.
    """

    check: str
    asset: str
    model_version: str | None
    passed: bool | None
    backend: str | None = None
    evaluation_id: str = ""
    run_id: str = ""
    at: datetime = _LONG_AGO
    facts: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, order=True)
class Scope:
    """What a fault is a fault of. What is left empty is not part of it.

    Attributes:
        model_version: The model version.
        backend: The backend, for faults of an index.
        tenant: The tenant, for faults of one slice.
        source: The source, for faults of one slice.
    """

    model_version: str
    backend: str = ""
    tenant: str = ""
    source: str = ""

    def __str__(self) -> str:
        parts = {"tenant": self.tenant, "source": self.source}
        named = " ".join(f"{name} {value}" for name, value in parts.items() if value)
        return " ".join(part for part in (self.model_version, self.backend, named) if part)


@dataclass(frozen=True)
class Diagnosis:
    """One thing that is wrong, and what fits it.

    Attributes:
        kind: What is wrong.
        action: What to do about it. `await_evidence` and `watch` do nothing.
        scope: What is affected, and nothing beyond it.
        why: The evidence in words.
        evaluation_ids: Measurements that prove it.
        explains: Other failed measurements that this fault accounts for.
    """

    kind: Kind
    action: Action
    scope: Scope
    why: str
    evaluation_ids: tuple[str, ...]
    explains: tuple[str, ...] = ()

    @property
    def never(self) -> tuple[Action, ...]:
        """Actions that must not be taken for this kind of fault."""
        return NEVER[self.kind]


@dataclass(frozen=True)
class Limits:
    """Bounds of what an index may carry before it counts as churned.

    Attributes:
        deleted_share: Share of rows that are only marked as deleted.
        p95_latency_ms: Latency of queries; None for no bound.
    """

    deleted_share: float = 0.3
    p95_latency_ms: float | None = None


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
    quality = _quality_fell(seen)
    return [*churned, *([quality] if quality else _drift(seen)), *refused]


class _Verdicts:
    """The newest verdict of each check of one model version."""

    def __init__(
        self, model_version: str, verdicts: Iterable[Verdict], backends: Sequence[str]
    ) -> None:
        self.model_version = model_version
        self.backends = backends
        self._all = sorted(
            (
                verdict
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

    def without_proof(
        self, checks: Sequence[str], *, not_before: Verdict | None = None
    ) -> list[str]:
        """Checks that do not say "all is well", or said so before a verdict came."""
        missing = []
        for check in checks:
            for backend in self.backends if check == RECALL else (None,):
                found = self.of(check, backend=backend)
                if not any(v.passed and _is_as_new(v, not_before) for v in found):
                    missing.append(f"{check} on {backend}" if backend else check)
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
        return Diagnosis(
            "recall_lost",
            ACTIONS["recall_lost"],
            scope,
            f"recall {_number(facts, 'recall')} is below the floor of "
            f"{_number(facts, 'floor')} on the slice {facts.get('worst_slice', 'not named')}",
            _ids(lost),
        )
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
    return Diagnosis(
        "index_churned",
        ACTIONS["index_churned"],
        Scope(seen.model_version, verdict.backend or ""),
        " and ".join(reasons),
        _ids([verdict]),
    )


def _refused(seen: _Verdicts, verdict: Verdict) -> Diagnosis:
    return Diagnosis(
        "rows_refused",
        ACTIONS["rows_refused"],
        Scope(seen.model_version, verdict.backend or ""),
        f"the backend refuses {_number(verdict.facts, 'refused')} rows; rejected_rows says why",
        _ids([verdict]),
    )


def _quality_fell(seen: _Verdicts) -> Diagnosis | None:
    fell = seen.failed(QUALITY)
    if not fell:
        return None
    missing = seen.without_proof([CANARY, RECALL])
    found = f"retrieval quality fell by {_number(fell[0].facts, 'difference')}"
    return Diagnosis(
        "quality_fell",
        "await_evidence" if missing else ACTIONS["quality_fell"],
        Scope(seen.model_version),
        f"{found}; unknown: {', '.join(missing)}"
        if missing
        else f"{found} while the model and the index are as they were",
        _ids(fell),
        seen.failed_ids(DRIFT),
    )


def _drift(seen: _Verdicts) -> list[Diagnosis]:
    """A moved distribution, overall or of slices. It alone never proves that anything is broken."""
    alarms = seen.failed(DRIFT)
    if not alarms:
        return []
    alarm = alarms[0]
    facts = alarm.facts
    if facts.get("global_alarm") is True:
        return [_moved(seen, alarm)]
    slices = facts.get("slices_alarmed") or []
    if facts.get("global_alarm") is False and slices:
        return [
            Diagnosis(
                "slice_moved",
                ACTIONS["slice_moved"],
                Scope(seen.model_version, "", str(s.get("tenant", "")), str(s.get("source", ""))),
                "the distribution of this slice moved while the whole is quiet",
                _ids([alarm]),
            )
            for s in slices
        ]
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


def _moved(seen: _Verdicts, alarm: Verdict) -> Diagnosis:
    share = _number(alarm.facts, "new_mass_low")
    action: Action = ACTIONS["distribution_moved"]
    # The evidence must be about the vectors that moved: an older one has not seen them.
    missing = seen.without_proof([CANARY, RECALL, QUALITY], not_before=alarm)
    if alarm.facts.get("acts") is not True:
        action, why = "watch", f"at least {share} of it is new, which is below what acts"
    elif missing:
        action, why = "await_evidence", f"not known since: {', '.join(missing)}"
    else:
        why = f"at least {share} of it is new; the index is faithful and golden queries hold"
    return Diagnosis(
        "distribution_moved",
        action,
        Scope(seen.model_version),
        f"the distribution moved; {why}",
        _ids([alarm]),
    )


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
