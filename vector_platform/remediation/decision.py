"""Whether to act on a diagnosis now, or to leave it and say why.

Belongs here: cooldown, budget, attempts and the merging of a storm into one run, pure.

The decision is made anew at every tick from verdicts and recorded history alone, so a sensor that
lost its cursor, or a daemon that was restarted midway, decides the same.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Literal

from vector_platform.remediation.faults import Action, Apart, Diagnosis, Kind, Scope
from vector_platform.settings import Acting, ActionPolicy

BUDGET_PERIOD = timedelta(days=30)
# A run that was asked for and has not been seen: the daemon died in between. Within this time it
# is asked for again under the same key; later the history of runs has simply been cleaned up.
LAUNCH_GRACE = timedelta(days=1)

# `refused`: it failed for a reason that does not pass by itself.
Outcome = Literal["asked", "running", "succeeded", "failed", "refused"]


@dataclass(frozen=True)
class PastAction:
    """An action that was taken on one diagnosis before.

    Attributes:
        run_key: The run it was part of.
        kind: What was wrong.
        action: What was done.
        scope: What was affected.
        evaluation_ids: Measurements that proved it.
        attempt: 1, 2, ... on the same measurement.
        at: When it was decided.
        outcome: What became of the run; `asked` while there is none.
        why: What was said of the run when it was decided on.
    """

    run_key: str
    kind: Kind
    action: Action
    scope: Scope
    evaluation_ids: tuple[str, ...]
    attempt: int
    at: datetime
    outcome: Outcome
    why: str = ""


@dataclass(frozen=True)
class ActionDecision:
    """What was ruled about one diagnosis: act now, or leave it.

    Attributes:
        diagnosis: What is wrong.
        why: Why it is acted on now, or why not.
        attempt: Number of the attempt on this measurement; 0 when it is not acted on.
    """

    diagnosis: Diagnosis
    why: str
    attempt: int = 0

    @property
    def acts(self) -> bool:
        """Whether a run is to be started."""
        return self.attempt > 0

    @property
    def key(self) -> str:
        """Identity: the same fault, measurement and attempt are decided once."""
        found = self.diagnosis
        measured = "+".join(found.evaluation_ids)
        return ":".join([found.kind, *str(found.scope).split(), measured, str(self.attempt)])


@dataclass(frozen=True)
class PlannedRun:
    """One run for everything of one action that is to be done now.

    Attributes:
        action: What the run does.
        run_key: Dagster never starts two runs of the same key.
        scopes: What it does it to.
        evaluation_ids: Measurements that it answers.
        why: One line for each fault.
    """

    action: Action
    run_key: str
    scopes: tuple[Scope, ...]
    evaluation_ids: tuple[str, ...]
    why: str


def decide(
    diagnoses: Iterable[Diagnosis],
    *,
    past: Sequence[PastAction],
    policy: Acting,
    now: datetime,
    holds: Mapping[Scope, str] | None = None,
) -> list[ActionDecision]:
    """Act or leave it, one decision for each diagnosis.

    A freeze is no reason to wait: what is built in it goes live after it, through the gates.

    Args:
        diagnoses: What is wrong now.
        past: Actions taken before, in any order.
        policy: The deployment's.
        now: The time, with its zone.
        holds: Why nothing more is to be started for an index, by its scope (model version and
            backend; without a backend for the whole model version): a release request that waits.
    """
    decisions = []
    for found in diagnoses:
        mine = [p for p in past if p.kind == found.kind and _place(p.scope) == _place(found.scope)]
        decisions.append(_decide(found, mine, policy, now, holds or {}))
    return decisions


def planned_runs(decisions: Iterable[ActionDecision], *, apart: Apart = None) -> list[PlannedRun]:
    """The run for the decisions on one action that act: a storm becomes one run.

    Its key is that of the first decision: each attempt on a measurement is part of one run only, so
    no other run can have it.

    Args:
        decisions: Of one action.
        apart: Part of a scope: one run for each, for jobs that take only one.
    """
    acting = sorted((d for d in decisions if d.acts), key=lambda decision: decision.key)
    runs: dict[str, list[ActionDecision]] = {}
    for decision in acting:
        of = getattr(decision.diagnosis.scope, apart) if apart else ""
        runs.setdefault(of, []).append(decision)
    return [
        PlannedRun(
            parts[0].diagnosis.action,
            parts[0].key,
            tuple(sorted({d.diagnosis.scope for d in parts})),
            tuple(sorted({one for d in parts for one in d.diagnosis.evaluation_ids})),
            "; ".join(f"{d.diagnosis.scope}: {d.diagnosis.why}" for d in parts),
        )
        for parts in runs.values()
    ]


def lost_runs(past: Iterable[PastAction], now: datetime) -> list[PlannedRun]:
    """Runs that were decided on and never started, to be asked for again under their keys."""
    lost: dict[str, list[PastAction]] = {}
    for action in past:
        if action.outcome == "asked" and now - action.at < LAUNCH_GRACE:
            lost.setdefault(action.run_key, []).append(action)
    return [
        PlannedRun(
            parts[0].action,
            run_key,
            tuple(sorted({part.scope for part in parts})),
            tuple(sorted({one for part in parts for one in part.evaluation_ids})),
            parts[0].why,
        )
        for run_key, parts in sorted(lost.items())
    ]


def _decide(
    diagnosis: Diagnosis,
    past: Sequence[PastAction],
    policy: Acting,
    now: datetime,
    holds: Mapping[Scope, str],
) -> ActionDecision:
    rules: ActionPolicy | None = getattr(policy, diagnosis.action, None)
    if diagnosis.action in ("await_evidence", "observe"):
        return ActionDecision(diagnosis, diagnosis.why)
    if rules is None or rules.by == "person":
        return ActionDecision(diagnosis, f"{diagnosis.why}; a person decides on {diagnosis.action}")
    if any(p.outcome in ("asked", "running") and _recent(p, now) for p in past):
        return ActionDecision(diagnosis, "a run for the same fault is under way")
    same = [p for p in past if set(p.evaluation_ids) & set(diagnosis.evaluation_ids)]
    if same:
        return _again(diagnosis, max(same, key=lambda p: p.attempt), policy, now)
    index = _index(diagnosis.scope)
    hold = holds.get(index) or holds.get(Scope(index.model_version))
    if hold:
        return ActionDecision(diagnosis, hold)
    cooldown = timedelta(hours=rules.cooldown_hours)
    newest = max((p.at for p in past), default=None)
    if newest is not None and now - newest < cooldown:
        return ActionDecision(diagnosis, f"acted on the same fault less than {cooldown} ago")
    spent = {p.run_key for p in past if p.attempt == 1 and now - p.at < BUDGET_PERIOD}
    if len(spent) >= rules.monthly_budget:
        return ActionDecision(
            diagnosis,
            f"the budget of {rules.monthly_budget} runs of {diagnosis.action} within "
            f"{BUDGET_PERIOD.days} days is spent: a person decides",
        )
    return ActionDecision(diagnosis, diagnosis.why, attempt=1)


def _again(diagnosis: Diagnosis, last: PastAction, policy: Acting, now: datetime) -> ActionDecision:
    """The same measurement once more: only a run that failed is tried again."""
    if last.outcome == "refused":
        return ActionDecision(diagnosis, "the run failed for a reason that needs a person")
    if last.outcome != "failed":
        return ActionDecision(
            diagnosis, "this measurement has been acted on; the next one may again"
        )
    if last.attempt >= policy.max_attempts:
        return ActionDecision(
            diagnosis, f"given up after {last.attempt} failed runs: a person decides"
        )
    wait = timedelta(minutes=policy.retry_minutes)
    if now - last.at < wait:
        return ActionDecision(
            diagnosis, f"run {last.attempt} failed; the next one starts {wait} later"
        )
    return ActionDecision(diagnosis, f"run {last.attempt} failed", attempt=last.attempt + 1)


def _recent(past: PastAction, now: datetime) -> bool:
    return past.outcome == "running" or now - past.at < LAUNCH_GRACE


def _place(scope: Scope) -> Scope:
    """What cooldown and budget are counted for: an index or a slice, whenever it began."""
    return replace(scope, since="")


def _index(scope: Scope) -> Scope:
    """The index of a scope."""
    return Scope(scope.model_version, scope.backend)
