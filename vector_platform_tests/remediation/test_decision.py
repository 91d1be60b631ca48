"""Acting: once for a measurement, within cooldown and budget; a storm is one run."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vector_platform.remediation.decision import (
    BUDGET_PERIOD,
    LAUNCH_GRACE,
    ActionDecision,
    Outcome,
    PastAction,
    PlannedRun,
    decide,
    lost_runs,
    planned_runs,
)
from vector_platform.remediation.faults import Diagnosis, Kind, Scope
from vector_platform.remediation.reactions import BY_KIND
from vector_platform.settings import Acting, ActionPolicy

NOON = datetime(2026, 1, 10, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
MILVUS = Scope("words.v1", "milvus")
POLICY = Acting(
    rebuild=ActionPolicy(cooldown_hours=24, monthly_budget=3), max_attempts=3, retry_minutes=15
)


def lost(evaluation: str = "e1", scope: Scope = MILVUS, kind: Kind = "recall_lost") -> Diagnosis:
    return Diagnosis(kind, BY_KIND[kind].action, scope, "recall is low", (evaluation,))


def taken(
    found: Diagnosis, *, at: datetime, outcome: Outcome = "succeeded", attempt: int = 1
) -> PastAction:
    key = ActionDecision(found, "", attempt).key
    return PastAction(
        key, found.kind, found.action, found.scope, found.evaluation_ids, attempt, at, outcome
    )


def rule(found: Diagnosis, *past: PastAction, now: datetime = NOON, **holds: str) -> ActionDecision:
    waiting = {MILVUS: holds["hold"]} if holds else {}
    (decision,) = decide([found], past=past, policy=POLICY, now=now, holds=waiting)
    return decision


# -- once -----------------------------------------------------------------------------------


def test_a_fault_that_was_never_acted_on_is_acted_on_now() -> None:
    decision = rule(lost())
    assert decision.acts
    assert decision.key == "recall_lost:words.v1:milvus:e1:1"


@pytest.mark.parametrize("outcome", ["asked", "running", "succeeded"])
def test_the_same_measurement_never_acts_twice(outcome: Outcome) -> None:
    past = taken(lost(), at=NOON - 40 * 24 * HOUR, outcome=outcome)
    assert not rule(lost(), past).acts


def test_another_measurement_waits_while_a_run_is_under_way_and_in_the_cooldown() -> None:
    for outcome in ("asked", "running", "succeeded"):
        past = taken(lost(), at=NOON - 23 * HOUR, outcome=outcome)  # type: ignore[arg-type]
        assert not rule(lost("e2"), past).acts
    assert rule(lost("e2"), taken(lost(), at=NOON - 24 * HOUR)).acts


def test_cooldown_counts_for_each_fault_model_and_index() -> None:
    past = taken(lost(), at=NOON - HOUR)
    assert rule(lost("e2", Scope("words.v1", "pinecone")), past).acts
    assert rule(lost("e2", Scope("words.v2", "milvus")), past).acts
    assert rule(lost("e2", kind="index_diverged"), past).acts


def test_the_budget_of_a_month_ends_in_a_person() -> None:
    past = [taken(lost(f"e{n}"), at=NOON - (n + 2) * 24 * HOUR) for n in range(3)]
    decision = rule(lost("e9"), *past)
    assert not decision.acts
    assert "a person decides" in decision.why
    later = NOON + BUDGET_PERIOD - 3 * 24 * HOUR
    assert rule(lost("e9"), *past, now=later).acts


def test_attempts_on_one_measurement_are_one_run_of_the_budget() -> None:
    past = [taken(lost("e1"), at=NOON - 50 * HOUR, outcome="failed", attempt=n) for n in (1, 2, 3)]
    assert rule(lost("e2"), *past).acts


# -- failures -------------------------------------------------------------------------------


def test_a_failed_run_is_tried_again_under_a_new_number_a_bounded_number_of_times() -> None:
    past = [taken(lost(), at=NOON - HOUR, outcome="failed")]
    for attempt in (2, 3):
        decision = rule(lost(), *past)
        assert (decision.attempt, decision.key.rsplit(":")[-1]) == (attempt, str(attempt))
        past.append(taken(lost(), at=NOON - HOUR, outcome="failed", attempt=attempt))
    decision = rule(lost(), *past)
    assert not decision.acts
    assert "given up after 3 failed runs" in decision.why


def test_a_run_that_failed_for_a_reason_that_stays_is_left_to_people() -> None:
    decision = rule(lost(), taken(lost(), at=NOON - HOUR, outcome="refused"))
    assert not decision.acts
    assert "needs a person" in decision.why


def test_a_failed_run_is_not_tried_again_at_once() -> None:
    past = taken(lost(), at=NOON - timedelta(minutes=14), outcome="failed")
    assert not rule(lost(), past).acts
    assert rule(lost(), past, now=NOON + timedelta(minutes=1)).acts


def test_a_run_that_succeeded_at_its_second_attempt_is_done() -> None:
    past = [
        taken(lost(), at=NOON - 2 * HOUR, outcome="failed"),
        taken(lost(), at=NOON - HOUR, outcome="succeeded", attempt=2),
    ]
    assert not rule(lost(), *past).acts


# -- people ---------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["contract_broken", "rows_refused", "slice_moved"])
def test_what_no_job_can_mend_is_left_to_people(kind: Kind) -> None:
    assert "a person decides" in rule(lost(kind=kind)).why


def test_a_new_reference_is_accepted_by_policy_only_when_the_policy_says_so() -> None:
    moved = lost(kind="distribution_moved", scope=Scope("words.v1"))
    by_policy = Acting(accept_reference=ActionPolicy(by="auto"))
    for policy, acts in ((Acting(), False), (by_policy, True)):
        (decision,) = decide([moved], past=[], policy=policy, now=NOON)
        assert decision.acts is acts


def test_an_index_whose_release_waits_for_approval_is_not_built_once_more() -> None:
    decision = rule(lost(), hold="request r0001 waits for an approval")
    assert (decision.acts, decision.why) == (False, "request r0001 waits for an approval")


def test_idle_diagnoses_say_what_they_wait_for() -> None:
    waiting = Diagnosis("quality_fell", "await_evidence", MILVUS, "unknown: recall", ("e1",))
    assert rule(waiting).why == "unknown: recall"


# -- storms ---------------------------------------------------------------------------------


def test_a_storm_is_one_run_that_names_everything_it_is_for() -> None:
    storm = [lost(f"e{n}", Scope(f"words.v{n}", "milvus")) for n in range(30)]
    (run,) = planned_runs(decide(storm, past=[], policy=POLICY, now=NOON))
    assert len(run.scopes) == len(run.evaluation_ids) == 30


def test_nothing_to_do_is_no_run() -> None:
    assert planned_runs([ActionDecision(lost(), "not now")]) == []


def test_a_job_that_takes_one_model_gets_a_run_for_each() -> None:
    storm = [
        lost(f"{model}{backend}", Scope(model, backend))
        for model in ("words.v1", "words.v2")
        for backend in ("milvus", "pinecone")
    ]
    runs = planned_runs(decide(storm, past=[], policy=POLICY, now=NOON), apart="model_version")
    assert [{scope.model_version for scope in run.scopes} for run in runs] == [
        {"words.v1"},
        {"words.v2"},
    ]
    assert len({run.run_key for run in runs}) == 2


# -- a daemon that dies ---------------------------------------------------------------------


def test_a_run_that_was_decided_on_and_never_started_is_asked_for_under_its_own_key() -> None:
    storm = [lost("e1"), lost("e2", Scope("words.v2", "milvus"))]
    (run,) = planned_runs(decide(storm, past=[], policy=POLICY, now=NOON))
    past = [
        PastAction(run.run_key, d.kind, d.action, d.scope, d.evaluation_ids, 1, NOON, "asked")
        for d in storm
    ]
    (again,) = lost_runs(past, NOON + HOUR)
    assert (again.run_key, again.scopes) == (run.run_key, run.scopes)
    assert again.evaluation_ids == run.evaluation_ids
    assert lost_runs(past, NOON + LAUNCH_GRACE) == []


class World:
    """A month of ticks: measurements come, runs start, fail and succeed, or are lost."""

    def __init__(self) -> None:
        self.past: dict[str, PastAction] = {}
        self.started: list[PlannedRun] = []

    def tick(self, found: Diagnosis, now: datetime, outcome: Outcome) -> None:
        for one in lost_runs(self.past.values(), now):
            self._start(one, found, now, outcome)
        for run in planned_runs(
            decide([found], past=list(self.past.values()), policy=POLICY, now=now)
        ):
            self._start(run, found, now, outcome)

    def _start(self, run: PlannedRun, found: Diagnosis, now: datetime, outcome: Outcome) -> None:
        known = self.past.get(run.run_key)
        attempt = int(run.run_key.rsplit(":", 1)[1])
        self.past[run.run_key] = PastAction(
            run.run_key,
            found.kind,
            run.action,
            run.scopes[0],
            run.evaluation_ids,
            attempt,
            known.at if known else now,
            outcome,
        )
        if outcome != "asked":
            self.started.append(run)


@given(
    st.lists(
        st.tuples(
            st.integers(1, 30 * 60),
            st.integers(0, 9),
            st.sampled_from(["asked", "succeeded", "failed"]),
        ),
        max_size=60,
    )
)
def test_whatever_comes_the_bounds_hold(steps: list[tuple[int, int, Outcome]]) -> None:
    world, now = World(), NOON
    for minutes, evaluation, outcome in steps:
        now += timedelta(minutes=minutes)
        world.tick(lost(f"e{evaluation}"), now, outcome)
    keys = [run.run_key for run in world.started]
    assert len(keys) == len(set(keys))
    firsts = sorted(p.at for p in world.past.values() if p.attempt == 1)
    assert all(b - a >= 24 * HOUR for a, b in pairwise(firsts))
    for at in firsts:
        assert sum(at - BUDGET_PERIOD < other <= at for other in firsts) <= 3
    assert all(p.attempt <= POLICY.max_attempts for p in world.past.values())
    for action in world.past.values():
        if action.attempt > 1:
            before = [
                p
                for p in world.past.values()
                if p.evaluation_ids == action.evaluation_ids and p.attempt == action.attempt - 1
            ]
            assert [p.outcome for p in before] == ["failed"]
