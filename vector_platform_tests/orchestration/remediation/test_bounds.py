"""Sensors that answer failed checks: how often they may start a run, and what holds them back.

Every fault that a sensor answers with a run, ticked through the real definitions on a real lake
and history. What the runs do is in `test_runs.py`.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import dagster as dg
import pytest

from vector_platform.errors import TerminalError
from vector_platform.orchestration.runs import retries
from vector_platform.releases.requests.requests import ReleaseRequests
from vector_platform.remediation.decision import BUDGET_PERIOD, LAUNCH_GRACE
from vector_platform.remediation.faults import Kind
from vector_platform.remediation.reactions import SENSORS
from vector_platform_tests.orchestration.acting import (
    AUTO,
    FAULTS,
    HOUR,
    MINUTE,
    PROPOSED,
    Fault,
    World,
    as_if_run,
    asked_for,
    decided,
    run_that_fails,
)
from vector_platform_tests.orchestration.harness import NEW, NOON, OLD, MemoryPlatform
from vector_platform_tests.orchestration.verdicts import Sensor, record_checks
from vector_platform_tests.tiers import in_turn

every_fault = pytest.mark.parametrize("kind", in_turn("kind", FAULTS))


def cooldown_of(fault: Fault, platform: MemoryPlatform) -> timedelta:
    return timedelta(hours=getattr(platform.settings.acting, fault.action).cooldown_hours)


def acted_on(fault: Fault, platform: MemoryPlatform, instance: dg.DagsterInstance) -> Sensor:
    """The sensor, after a run for a fault of `OLD` at noon, and with another measurement of it."""
    sensor = Sensor(fault.sensor, platform, instance)
    record_checks(instance, OLD, *fault.says("e1"))
    (request,) = sensor.tick(at=NOON)
    as_if_run(instance, request)
    record_checks(instance, OLD, *fault.says("e2"))
    return sensor


# -- cooldown, budget, storm ----------------------------------------------------------------


@every_fault
def test_a_later_measurement_acts_again_after_the_cooldown_of_that_place(
    kind: Kind, bare: World, instance: dg.DagsterInstance
) -> None:
    platform, fault = bare(acting=AUTO), FAULTS[kind]
    sensor, over = acted_on(fault, platform, instance), NOON + cooldown_of(fault, platform)
    assert sensor.tick(at=over - MINUTE) == []
    assert "acted on the same fault less than" in sensor.skipped
    # Another model, and another index of the same one, have a cooldown of their own.
    elsewhere = [(NEW, "milvus"), *((OLD, backend) for backend in fault.backends[1:])]
    for model, backend in elsewhere:
        record_checks(instance, model, *fault.says("e1", model, backend))
    requests = sensor.tick(at=over - MINUTE)
    assert requests
    for other in requests:
        as_if_run(instance, other)
    (again,) = sensor.tick(at=over)
    first, *runs, second = [act.subject for act in decided(platform, "act")]
    assert first == second == f"{OLD} {fault.part}".strip()
    others = [subject for run in runs for subject in run.split(", ")]
    assert len(others) == len(elsewhere) and first not in others
    assert len(runs) == len(requests)
    assert again.run_key not in {other.run_key for other in requests}


@every_fault
def test_the_budget_of_a_month_is_kept(
    kind: Kind, bare: World, instance: dg.DagsterInstance
) -> None:
    fault = FAULTS[kind]
    platform = bare(acting={fault.action: {"by": "auto", "cooldown_hours": 0, "monthly_budget": 2}})
    sensor = Sensor(fault.sensor, platform, instance)
    for hour in range(4):
        record_checks(instance, OLD, *fault.says(f"e{hour}"))
        for request in sensor.tick(at=NOON + hour * HOUR):
            as_if_run(instance, request)
    assert len(decided(platform, "act")) == 2
    assert "the budget of 2 runs" in sensor.skipped and "a person decides" in sensor.skipped
    assert sensor.tick(at=NOON + BUDGET_PERIOD - MINUTE) == []
    assert len(sensor.tick(at=NOON + BUDGET_PERIOD)) == 1


@every_fault
def test_a_storm_is_one_run_or_one_for_each_model_or_backend_where_the_job_takes_one(
    kind: Kind, bare: World, instance: dg.DagsterInstance
) -> None:
    platform, fault = bare(acting=AUTO), FAULTS[kind]
    places = [(model, backend) for model in (OLD, NEW) for backend in fault.backends]
    for number in range(3):
        for model, backend in places:
            record_checks(instance, model, *fault.says(f"e{number}", model, backend))
    sensor = Sensor(fault.sensor, platform, instance)
    requests = sensor.tick(at=NOON)
    (answer,) = (one for one in SENSORS if one.name == fault.sensor)
    assert len(requests) == (2 if answer.apart else 1)
    for request in requests:
        as_if_run(instance, request)
    assert sensor.tick(at=NOON) == []
    acts = decided(platform, "act")
    assert len(acts) == len(requests)
    evidence = [one for act in acts for one in act.evidence]
    assert sorted(evidence) == sorted(f"e2 {model} {backend}" for model, backend in places)


# -- runs that are lost, that fail, that are stopped -----------------------------------------


@every_fault
def test_a_daemon_that_dies_before_the_run_starts_asks_for_the_same_run_again(
    kind: Kind, bare: World, instance: dg.DagsterInstance
) -> None:
    platform, fault = bare(acting=AUTO), FAULTS[kind]
    record_checks(instance, OLD, *fault.says("e1"))
    (lost_request,) = Sensor(fault.sensor, platform, instance).tick(at=NOON)
    restarted = Sensor(fault.sensor, platform, instance)
    (again,) = restarted.tick(at=NOON + LAUNCH_GRACE - MINUTE)
    assert again.run_key == lost_request.run_key
    assert again.run_config == lost_request.run_config
    # Later the history of runs has been cleaned up; the run is not started twice.
    assert restarted.tick(at=NOON + LAUNCH_GRACE) == []
    as_if_run(instance, again)
    assert restarted.tick(at=NOON + HOUR) == []
    assert len(decided(platform, "act")) == 1


@every_fault
def test_another_measurement_waits_for_the_run_that_is_under_way(
    kind: Kind, bare: World, instance: dg.DagsterInstance
) -> None:
    platform, fault = bare(acting=AUTO), FAULTS[kind]
    sensor = Sensor(fault.sensor, platform, instance)
    record_checks(instance, OLD, *fault.says("e1"))
    (request,) = sensor.tick(at=NOON)
    as_if_run(instance, request, dg.DagsterRunStatus.STARTED)
    record_checks(instance, OLD, *fault.says("e2"))
    assert sensor.tick(at=NOON + 2 * cooldown_of(fault, platform)) == []
    assert "is under way" in sensor.skipped


@every_fault
def test_a_failed_run_is_started_again_a_bounded_number_of_times(
    kind: Kind, bare: World, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retries, "RETRY_SECONDS", 0)
    platform, fault = bare(acting=AUTO), FAULTS[kind]
    sensor, now, run_keys = Sensor(fault.sensor, platform, instance), NOON, []
    wait = timedelta(minutes=platform.settings.acting.retry_minutes)
    record_checks(instance, OLD, *fault.says("e1"))
    for _ in range(platform.settings.acting.max_attempts):
        (request,) = sensor.tick(at=now)
        run_keys.append(str(request.run_key))
        run_that_fails(instance, request, ConnectionError("no answer"))
        assert sensor.tick(at=now + wait - MINUTE) == []
        now += wait
    assert [key.rsplit(":", 1)[1] for key in run_keys] == ["1", "2", "3"]
    assert sensor.tick(at=now + 24 * HOUR) == []
    assert "given up after 3 failed runs" in sensor.skipped


@every_fault
def test_a_run_that_needs_a_person_is_not_started_again(
    kind: Kind, bare: World, instance: dg.DagsterInstance
) -> None:
    sensor = Sensor(FAULTS[kind].sensor, bare(acting=AUTO), instance)
    record_checks(instance, OLD, *FAULTS[kind].says("e1"))
    (request,) = sensor.tick(at=NOON)
    run_that_fails(instance, request, TerminalError("there is no such index"))
    for hour in (1, 48):
        assert sensor.tick(at=NOON + hour * HOUR) == []
        assert "needs a person" in sensor.skipped


@every_fault
def test_a_run_that_a_person_stopped_is_not_started_again(
    kind: Kind, bare: World, instance: dg.DagsterInstance
) -> None:
    sensor = Sensor(FAULTS[kind].sensor, bare(acting=AUTO), instance)
    record_checks(instance, OLD, *FAULTS[kind].says("e1"))
    (request,) = sensor.tick(at=NOON)
    as_if_run(instance, request, dg.DagsterRunStatus.CANCELED)
    assert sensor.tick(at=NOON + 48 * HOUR) == []


# -- what runs end in: a release request -----------------------------------------------------


@pytest.mark.parametrize("kind", in_turn("kind", PROPOSED))
def test_nothing_more_is_started_while_a_release_request_of_the_last_run_waits(
    kind: Kind, bare: World, instance: dg.DagsterInstance
) -> None:
    platform, fault = bare(acting=AUTO), FAULTS[kind]
    sensor, late = acted_on(fault, platform, instance), NOON + 3 * cooldown_of(fault, platform)
    asked = asked_for(platform, fault, NOON)
    assert sensor.tick(at=late) == []
    assert f"release request {asked.request_id} waits" in sensor.skipped
    # Nor does it hold another model.
    record_checks(instance, NEW, *fault.says("e1", NEW))
    assert len(sensor.tick(at=late)) == 1
    assert decided(platform, "act")[-1].subject.startswith(NEW)


@pytest.mark.parametrize("kind", in_turn("kind", PROPOSED))
def test_a_late_approval_frees_the_sensor(
    kind: Kind, bare: World, instance: dg.DagsterInstance
) -> None:
    platform, fault = bare(acting=AUTO), FAULTS[kind]
    sensor, late = acted_on(fault, platform, instance), NOON + 3 * cooldown_of(fault, platform)
    asked = asked_for(platform, fault, NOON)
    assert sensor.tick(at=late) == []
    ReleaseRequests(platform.lake).save(replace(asked, state="released", updated_at=late))
    assert len(sensor.tick(at=late)) == 1


@pytest.mark.parametrize("kind", in_turn("kind", PROPOSED))
def test_after_a_rejection_nothing_is_started_for_a_cooldown(
    kind: Kind, bare: World, instance: dg.DagsterInstance
) -> None:
    platform, fault = bare(acting=AUTO), FAULTS[kind]
    cooldown = cooldown_of(fault, platform)
    sensor, rejected = acted_on(fault, platform, instance), NOON + 3 * cooldown
    asked = asked_for(platform, fault, NOON)
    ReleaseRequests(platform.lake).save(replace(asked, state="rejected", updated_at=rejected))
    assert sensor.tick(at=rejected + cooldown - MINUTE) == []
    assert f"release request {asked.request_id} was rejected" in sensor.skipped
    assert len(sensor.tick(at=rejected + cooldown)) == 1
