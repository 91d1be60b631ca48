"""Next steps: what a failed check says of what follows, and who is told.

Belongs here: sentences for a reader of a check, from the reactions and the policy.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from vector_platform.remediation.decision import BUDGET_PERIOD
from vector_platform.remediation.diagnosis import diagnose
from vector_platform.remediation.faults import Diagnosis, Kind, Limits, Verdict
from vector_platform.remediation.reactions import BY_KIND, ruled_out_before
from vector_platform.settings import Acting, ActionPolicy, Settings


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
        _what_happens(kind, settings.acting, backend or "")
        for kind in dict.fromkeys(one.kind for one in alone)
    )


def limits_of(acting: Acting) -> Limits:
    """What an index may carry before it counts as churned."""
    return Limits(acting.max_deleted_share, acting.max_p95_latency_ms)


def _what_happens(kind: Kind, policy: Acting, backend: str) -> str:
    action, sensor = BY_KIND[kind].action, BY_KIND[kind].sensor
    if sensor.job is None:
        return (
            f"The sensor {sensor.name} records it and starts nothing: who owns the data mends it."
        )
    rules: ActionPolicy = getattr(policy, action)
    if rules.by == "person":
        return (
            f"The sensor {sensor.name} records it and starts nothing, because acting.{action}.by "
            f"is person. By hand: the job {sensor.job_of(backend)}."
        )
    first = ruled_out_before(kind)
    waits = f", as soon as these are known to hold: {', '.join(first)}" if first else ""
    return (
        f"The sensor {sensor.name} starts the job {sensor.job_of(backend)}, once for this "
        f"measurement{waits} (acting.{action}: at most {rules.monthly_budget} runs in "
        f"{BUDGET_PERIOD.days} days, at least {rules.cooldown_hours:g} hours apart)."
    )


def with_owner(found: Diagnosis, settings: Settings) -> Diagnosis:
    """A fault of one source names whom to tell; of what is only observed nobody is told."""
    source = found.scope.source
    if source not in settings.sources or found.action == "observe":
        return found
    return replace(found, why=f"{found.why}; owner: {settings.owner_of(source)}")
