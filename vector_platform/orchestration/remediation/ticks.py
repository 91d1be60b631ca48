"""What a sensor does at one tick: read verdicts, diagnose, rule, record.

Belongs here: putting the pure parts and the records together. Nothing is carried from tick to
tick: what has been done is in the lake and in the history of runs.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from datetime import datetime

import dagster as dg

from vector_platform.orchestration.check_results import model_verdicts
from vector_platform.orchestration.remediation.action_log import ActionLog
from vector_platform.remediation.decision import (
    ActionDecision,
    PlannedRun,
    decide,
    lost_runs,
    planned_runs,
)
from vector_platform.remediation.diagnosis import diagnose
from vector_platform.remediation.faults import Apart, Diagnosis, Kind, Scope
from vector_platform.remediation.next_steps import limits_of, with_owner
from vector_platform.remediation.suppression import suppressed
from vector_platform.settings import Settings
from vector_platform.wiring import Platform


@dataclass(frozen=True)
class Tick:
    """What one tick came to.

    Attributes:
        runs: Runs to ask for.
        left: Faults for which nothing is started, and why.
    """

    runs: tuple[PlannedRun, ...] = ()
    left: tuple[ActionDecision, ...] = ()

    def describe_left(self) -> str:
        """One line for each fault that is left, or that there is none."""
        return (
            "; ".join(f"{r.diagnosis.kind} of {r.diagnosis.scope}: {r.why}" for r in self.left)
            or "no check says that anything is wrong"
        )


def react(
    kinds: Collection[Kind],
    *,
    actor: str,
    platform: Platform,
    instance: dg.DagsterInstance,
    now: datetime,
    apart: Apart = None,
) -> Tick:
    """Rule on every fault of some kinds, and record it.

    Args:
        kinds: Kinds of faults that this actor answers. They share one action.
        actor: Name of the sensor.
        platform: The deployment.
        instance: Its history of checks and runs.
        now: The time, with its zone.
        apart: Part of a scope: one run for each, for jobs that take only one.
    """
    # Versions may have been made since the code location was loaded.
    platform.follow_local_versions()
    found = [one for one in diagnoses(instance, platform.settings) if one.kind in kinds]
    if not found:
        return Tick()
    held: dict[Scope, str] = {}
    for action in {one.action for one in found}:
        held |= suppressed(platform.lake, platform.settings, action, now)
    log = ActionLog(platform.lake, instance, actor=actor, now=now)
    past = log.past(found)
    decisions = decide(
        found,
        past=past,
        policy=platform.settings.acting,
        now=now,
        holds=held,
    )
    runs = lost_runs(past, now)
    for planned in planned_runs(decisions, apart=apart):
        log.act(planned, decisions)
        runs.append(planned)
    left = tuple(decision for decision in decisions if not decision.acts)
    for decision in left:
        log.leave(decision)
    return Tick(tuple(runs), left)


def diagnoses(instance: dg.DagsterInstance, settings: Settings) -> list[Diagnosis]:
    """What is wrong now, of every active model version."""
    limits = limits_of(settings.acting)
    found = [
        with_owner(one, settings)
        for model_version in settings.active_models
        for one in diagnose(
            model_version,
            model_verdicts(instance, settings, model_version),
            backends=settings.indexes.backends,
            limits=limits,
        )
    ]
    changed = {one.scope.model_version for one in found if one.kind == "model_changed"}
    return [_with_its_base(one, changed, settings) for one in found]


def _with_its_base(found: Diagnosis, changed: Collection[str], settings: Settings) -> Diagnosis:
    """A model made from one that has changed has changed with it, and has no weights to propose."""
    bases = sorted(set(settings.models[found.scope.model_version].bases) & set(changed))
    if found.kind != "model_changed" or not bases:
        return found
    why = (
        f"{found.why}; it is made from {', '.join(bases)}, which has changed: that one is answered"
    )
    return replace(found, action="observe", why=why)
