"""What sensors have decided before: read from and written to `decisions`.

Belongs here: the mapping between decisions and rows of the lake, and what became of the runs. A
run is recorded before it is asked for, in one row: a daemon that dies in between finds the row and
asks again under the same key.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

import dagster as dg

from vector_platform.lake.contract import canonical_json
from vector_platform.lake.decisions import Decision, Decisions
from vector_platform.lake.lake import Lake
from vector_platform.orchestration.dagster_internals import RUN_KEY_TAG, WILL_RETRY_TAG
from vector_platform.orchestration.runs.retries import needs_a_person
from vector_platform.remediation.decision import ActionDecision, Outcome, PastAction, PlannedRun
from vector_platform.remediation.faults import Diagnosis, Scope

# Run keys in one question: databases take some thousand parameters.
KEYS_AT_ONCE = 500

_OUTCOMES: dict[dg.DagsterRunStatus, Outcome] = {
    dg.DagsterRunStatus.SUCCESS: "succeeded",
    dg.DagsterRunStatus.FAILURE: "failed",
    # A person has stopped it, so nothing starts it again.
    dg.DagsterRunStatus.CANCELED: "succeeded",
}


class ActionLog:
    """The decisions of one sensor.

    Args:
        lake: Where they are.
        instance: Knows what became of the runs.
        actor: The sensor.
        now: The time, with its zone.
    """

    def __init__(
        self, lake: Lake, instance: dg.DagsterInstance, *, actor: str, now: datetime
    ) -> None:
        self._decisions = Decisions(lake, run_id="", clock=lambda: now)
        self._instance = instance
        self._actor = actor
        self._known = self._decisions.about(actor=actor)

    def past(self, found: Iterable[Diagnosis]) -> list[PastAction]:
        """Every action of this sensor, one for each fault that a run was started for.

        Why a run failed matters to what it was measured by, and is asked of no other run: that is
        one question each.

        Args:
            found: What is wrong now.
        """
        now = {one for diagnosis in found for one in diagnosis.evaluation_ids}
        acted = [(decision, _after(decision)) for decision in self._known if decision.what == "act"]
        outcomes = self._outcomes(
            {after["run_key"]: not now.isdisjoint(decision.evidence) for decision, after in acted}
        )
        return [
            PastAction(
                run_key=after["run_key"],
                kind=part["kind"],
                action=after["action"],
                scope=Scope(**part["scope"]),
                evaluation_ids=tuple(part["evaluation_ids"]),
                attempt=part["attempt"],
                at=decision.decided_at,
                outcome=outcomes[after["run_key"]],
                why=decision.why,
            )
            for decision, after in acted
            for part in after["faults"]
        ]

    def act(self, run: PlannedRun, decisions: Sequence[ActionDecision]) -> None:
        """Record a run that is about to be asked for, with the faults it is for."""
        answered = [r for r in decisions if r.acts and r.diagnosis.scope in run.scopes]
        faults = [
            {
                "kind": decision.diagnosis.kind,
                "scope": vars(decision.diagnosis.scope),
                "evaluation_ids": decision.diagnosis.evaluation_ids,
                "attempt": decision.attempt,
            }
            for decision in answered
        ]
        self._decisions.record(
            "act",
            ", ".join(str(scope) for scope in run.scopes),
            actor=self._actor,
            why=run.why,
            evidence=run.evaluation_ids,
            before=", ".join(sorted({decision.diagnosis.kind for decision in answered})),
            after=canonical_json({"action": run.action, "run_key": run.run_key, "faults": faults}),
        )

    def leave(self, decision: ActionDecision) -> None:
        """Record that nothing was started, once for each reason."""
        found = decision.diagnosis
        after = canonical_json({"action": found.action, "key": decision.key})
        same = [d for d in self._known if d.what == "suppress" and d.after == after]
        if same and same[-1].why == decision.why:
            return
        self._decisions.record(
            "suppress",
            str(found.scope),
            actor=self._actor,
            why=decision.why,
            evidence=found.evaluation_ids,
            before=found.kind,
            after=after,
        )

    def _outcomes(self, run_keys: Mapping[str, bool]) -> dict[str, Outcome]:
        """What became of runs, by key: one question for hundreds of them.

        Of those with True it is told, too, whether a failure needs a person.
        """
        runs: dict[str, dg.DagsterRun] = {}
        keys = sorted(run_keys)
        for start in range(0, len(keys), KEYS_AT_ONCE):
            of = dg.RunsFilter(tags={RUN_KEY_TAG: keys[start : start + KEYS_AT_ONCE]})
            for run in self._instance.get_runs(of):
                runs.setdefault(run.tags[RUN_KEY_TAG], run)  # the newest comes first
        return {key: self._outcome(runs.get(key), ask_why=run_keys[key]) for key in keys}

    def _outcome(self, run: dg.DagsterRun | None, *, ask_why: bool) -> Outcome:
        if run is None:
            return "asked"
        outcome = _OUTCOMES.get(run.status, "running")
        if outcome == "failed" and run.tags.get(WILL_RETRY_TAG) == "true":
            return "running"  # Dagster asks for it once more, under the same key
        if outcome == "failed" and ask_why and needs_a_person(self._instance, run.run_id):
            return "refused"
        return outcome


def _after(decision: Decision) -> dict[str, Any]:
    after: dict[str, Any] = json.loads(decision.after or "{}")
    return after
