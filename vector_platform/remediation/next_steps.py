"""Who answers which fault, and what a failed check says of it: the same table for both.

Belongs here: the sensors with the faults and jobs that are theirs, and the sentences that tell a
reader of a check what follows under the policy.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from vector_platform.remediation.decision import BUDGET_PERIOD
from vector_platform.remediation.diagnosis import diagnose
from vector_platform.remediation.faults import (
    ACTIONS,
    NEVER,
    RULED_OUT_BY,
    Diagnosis,
    Kind,
    Limits,
    Verdict,
)
from vector_platform.settings import Acting, ActionPolicy, Settings


@dataclass(frozen=True)
class Reaction:
    """A sensor that answers some kinds of faults with one job.

    Attributes:
        name: The sensor.
        kinds: Faults that it answers.
        job: Name of the job it starts; None when only people can mend what is wrong.
        description: For the UI.
        per_model: One run for each model version, for jobs that take only one.
    """

    name: str
    kinds: tuple[Kind, ...]
    job: str | None
    description: str
    per_model: bool = False


REACTIONS = (
    Reaction(
        "reembed_on_changed_model",
        ("model_changed",),
        "reembed",
        "Proposes a new model version when a model no longer answers as it was registered. Its "
        "own writes have stopped by then.",
    ),
    Reaction(
        "repair_on_divergence",
        ("index_diverged",),
        "repair_index",
        "Rewrites what differs when an index no longer equals the lake.",
    ),
    Reaction(
        "reindex_on_lost_recall",
        ("recall_lost", "index_churned"),
        "reindex",
        "Builds a new generation when an index has lost recall on some slice, or carries too "
        "many deleted rows.",
    ),
    Reaction(
        "retrain_on_fallen_quality",
        ("quality_fell",),
        "retrain",
        "Trains a challenger when the champion finds less than at its release, although model and "
        "index are as they were.",
        per_model=True,
    ),
    Reaction(
        "recalibrate_on_drift",
        ("distribution_moved",),
        "recalibrate_reference",
        "Accepts a moved distribution as the new reference when everything else holds, if the "
        "policy says that no person has to.",
        per_model=True,
    ),
    Reaction(
        "quarantine_on_moved_slice",
        ("slice_moved",),
        "quarantine_slice",
        "Tells the owner of a tenant or source whose content changed while all else is quiet. "
        "Keeps what changed from readers, if the policy says that no person has to.",
    ),
    Reaction(
        "tell_owners_of_bad_data",
        ("contract_broken", "ingest_damaged", "rows_refused"),
        None,
        "Records what only the owner of the data can mend. Starts nothing.",
    ),
)


def what_happens(
    check: str,
    settings: Settings,
    *,
    passed: bool,
    facts: Mapping[str, Any] | None = None,
    model_version: str | None = None,
    backend: str | None = None,
) -> str:
    """What the platform does by itself about what a check has just found; empty for nothing.

    Args:
        check: Name of the check.
        settings: With the policy.
        passed: Its answer.
        facts: Its numbers, as they become its metadata.
        model_version: Of which model.
        backend: Of which index.
    """
    verdict = Verdict(check, "", model_version, passed, backend, facts=facts or {})
    alone = diagnose(
        model_version or "",
        [verdict],
        backends=[backend] if backend else [],
        limits=limits_of(settings.acting),
    )
    return " ".join(
        _what_happens(kind, settings.acting) for kind in dict.fromkeys(one.kind for one in alone)
    )


def limits_of(acting: Acting) -> Limits:
    """What an index may carry before it counts as churned."""
    return Limits(acting.max_deleted_share, acting.max_p95_latency_ms)


def _what_happens(kind: Kind, policy: Acting) -> str:
    reaction = next(each for each in REACTIONS if kind in each.kinds)
    action = ACTIONS[kind]
    if reaction.job is None:
        return (
            f"The sensor {reaction.name} records it and starts nothing: who owns the data mends it."
        )
    rules: ActionPolicy = getattr(policy, action)
    if rules.by == "person":
        return (
            f"The sensor {reaction.name} records it and starts nothing, because acting.{action}.by "
            f"is person. By hand: the job {reaction.job}."
        )
    first = _ruled_out_before(kind)
    waits = f", as soon as these are known to hold: {', '.join(first)}" if first else ""
    return (
        f"The sensor {reaction.name} starts the job {reaction.job}, once for this measurement"
        f"{waits} (acting.{action}: at most {rules.monthly_budget} runs in {BUDGET_PERIOD.days} "
        f"days, at least {rules.cooldown_hours:g} hours apart)."
    )


def _ruled_out_before(kind: Kind) -> list[str]:
    """Checks that must hold before anything is done: their faults would forbid it."""
    checks: list[str] = []
    for earlier, decision in RULED_OUT_BY.items():
        if earlier == kind:
            break
        if ACTIONS[kind] in NEVER[earlier]:
            checks += decision
    return checks


def with_owner(found: Diagnosis, settings: Settings) -> Diagnosis:
    """A fault of one source names whom to tell; of what is only watched nobody is told."""
    source = found.scope.source
    if source not in settings.sources or found.action == "watch":
        return found
    return replace(found, why=f"{found.why}; owner: {settings.owner_of(source)}")
