"""Sensors that answer failed checks: when they act, once, and when they hold back.

The lake is real, the backends are in memory, the runs are Dagster's own, in process.
"""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime

import dagster as dg
import pytest

from vector_platform.orchestration import keys
from vector_platform.orchestration.build import build_definitions
from vector_platform.orchestration.sensors import REACTIONS
from vector_platform.quality import faults
from vector_platform_tests.orchestration.acting import (
    ANSWERED,
    AUTO,
    HOUR,
    REEMBED,
    REINDEX,
    REPAIR,
    World,
    as_if_run,
    decided,
    generations,
)
from vector_platform_tests.orchestration.harness import NEW, OLD, STATIC, MemoryPlatform
from vector_platform_tests.orchestration.verdicts import (
    BACKENDS,
    Says,
    Sensor,
    lost,
    moved,
    run_checks,
    well,
    worse,
)

# -- every sensor ---------------------------------------------------------------------------


def test_every_sensor_that_starts_a_job_is_tested_here() -> None:
    assert sorted(ANSWERED) == sorted(r.name for r in REACTIONS if r.job)


def test_all_sensors_are_running_by_default(platform: MemoryPlatform) -> None:
    definitions = build_definitions(settings=platform.settings)
    for reaction in REACTIONS:
        sensor = definitions.get_repository_def().get_sensor_def(reaction.name)
        assert sensor.default_status is dg.DefaultSensorStatus.RUNNING


@pytest.mark.parametrize("name", ANSWERED)
def test_a_fault_is_answered_by_one_run_and_the_decision_is_recorded(
    name: str, world: World, instance: dg.DagsterInstance
) -> None:
    platform = world(acting=AUTO)
    says, kind, subject = ANSWERED[name]
    sensor = Sensor(name, platform, instance)
    assert sensor.tick() == []
    assert sensor.skipped == "no check says that anything is wrong"
    run_checks(instance, OLD, *says)
    (request,) = sensor.tick()
    as_if_run(instance, request)
    assert sensor.tick() == []
    assert "has been acted on" in sensor.skipped

    (act,) = decided(platform, "act")
    assert (act.actor, act.before, act.subject) == (name, kind, subject)
    assert request.tags[keys.EVALUATION_TAG] == act.evidence[0]
    assert json.loads(act.after or "")["run_key"] == request.run_key


@pytest.mark.parametrize("name", ANSWERED)
def test_the_other_sensors_leave_it_alone(
    name: str, world: World, instance: dg.DagsterInstance
) -> None:
    platform = world(acting=AUTO)
    run_checks(instance, OLD, *ANSWERED[name][0])
    for reaction in REACTIONS:
        if reaction.name != name:
            assert Sensor(reaction.name, platform, instance).tick() == []
    assert decided(platform) == []


@pytest.mark.parametrize("name", sorted(ANSWERED.keys() - {REEMBED}))
def test_a_changed_model_stops_every_other_answer(
    name: str, world: World, instance: dg.DagsterInstance
) -> None:
    run_checks(instance, OLD, *ANSWERED[name][0])
    run_checks(instance, OLD, Says(faults.CANARY, False))
    assert Sensor(name, world(acting=AUTO), instance).tick() == []


@pytest.mark.parametrize("name", ANSWERED)
def test_an_outage_is_no_verdict(name: str, world: World, instance: dg.DagsterInstance) -> None:
    says = ANSWERED[name][0]
    run_checks(instance, OLD, *(replace(each, passed=each.passed or None) for each in says))
    assert Sensor(name, world(acting=AUTO), instance).tick() == []


@pytest.mark.parametrize("name", ANSWERED)
def test_an_action_that_is_a_persons_is_recorded_once_and_not_started(
    name: str, world: World, instance: dg.DagsterInstance
) -> None:
    actions = ("repair", "rebuild", "retrain", "propose_version", *AUTO)
    platform = world(acting={action: {"by": "person"} for action in actions})
    run_checks(instance, OLD, *ANSWERED[name][0])
    sensor = Sensor(name, platform, instance)
    for _ in range(2):
        assert sensor.tick() == []
        assert "a person decides" in sensor.skipped
    (left,) = decided(platform)
    assert (left.what, left.actor) == ("suppress", name)


@pytest.mark.parametrize("name", ANSWERED)
def test_a_daemon_that_dies_before_the_run_starts_asks_for_the_same_run_again(
    name: str, world: World, instance: dg.DagsterInstance
) -> None:
    platform = world(acting=AUTO)
    run_checks(instance, OLD, *ANSWERED[name][0])
    (lost_request,) = Sensor(name, platform, instance).tick()
    (again,) = Sensor(name, platform, instance).tick()
    assert again.run_key == lost_request.run_key
    assert again.run_config == lost_request.run_config
    as_if_run(instance, again)
    assert Sensor(name, platform, instance).tick() == []
    assert len(decided(platform, "act")) == 1


# -- when it acts again ---------------------------------------------------------------------


def test_a_later_measurement_acts_again_after_the_cooldown(
    platform: MemoryPlatform, instance: dg.DagsterInstance
) -> None:
    sensor = Sensor(REINDEX, platform, instance)
    run_checks(instance, OLD, lost("e1"))
    (first,) = sensor.tick()
    sensor.start(first)
    run_checks(instance, OLD, lost("e2"))
    now = datetime.now(UTC)
    assert sensor.tick(at=now + 23 * HOUR) == []
    assert "less than 1 day" in sensor.skipped
    (second,) = sensor.tick(at=now + 25 * HOUR)
    assert second.run_key != first.run_key


def test_the_budget_of_a_month_is_kept(world: World, instance: dg.DagsterInstance) -> None:
    platform = world(acting={"rebuild": {"cooldown_hours": 0, "monthly_budget": 2}})
    sensor = Sensor(REINDEX, platform, instance)
    for number in range(4):
        run_checks(instance, OLD, lost(f"e{number}"))
        for request in sensor.tick():
            sensor.start(request)
    assert len(decided(platform, "act")) == 2
    assert "budget of 2 runs" in sensor.skipped
    assert generations(platform, "milvus", OLD) == 3


def test_the_same_measurement_seen_again_never_acts_twice(
    platform: MemoryPlatform, instance: dg.DagsterInstance
) -> None:
    # A nightly check of an unchanged index is the same evaluation.
    sensor = Sensor(REINDEX, platform, instance)
    now = datetime.now(UTC)
    for night in range(3):
        run_checks(instance, OLD, lost("e1"))
        for request in sensor.tick(at=now + 24 * night * HOUR):
            sensor.start(request)
    assert generations(platform, "milvus", OLD) == 2


def test_a_storm_is_one_run(platform: MemoryPlatform, instance: dg.DagsterInstance) -> None:
    for number in range(3):
        for model in (OLD, NEW):
            run_checks(
                instance,
                model,
                moved(f"d{number}"),
                *(lost(f"{model}-{backend}-{number}", backend) for backend in BACKENDS),
            )
    sensor = Sensor(REINDEX, platform, instance)
    (request,) = sensor.tick()
    assert sensor.start(request).success
    assert sensor.tick() == []
    assert [generations(platform, b, m) for b in BACKENDS for m in (OLD, NEW)] == [2] * 4
    (act,) = decided(platform, "act")
    assert len(act.evidence) == 4


def test_a_storm_of_damage_is_one_repair(
    platform: MemoryPlatform, instance: dg.DagsterInstance
) -> None:
    for model in (OLD, NEW):
        run_checks(instance, model, *(Says(keys.INDEX_MATCHES, False, b) for b in BACKENDS))
    sensor = Sensor(REPAIR, platform, instance)
    (request,) = sensor.tick()
    done = sensor.start(request)
    assert done.success
    assert len(done.output_for_node("repair")) == 4
    # The repair has compared again, and says so in the checks.
    assert sensor.tick() == []
    assert sensor.skipped == "no check says that anything is wrong"


# -- what is nobody's to start --------------------------------------------------------------


@pytest.mark.parametrize(
    ("says", "kind"),
    [
        (Says(faults.VECTORS, False), "contract_broken"),
        (moved("e1", damaged=True, markup_low=0.2), "ingest_damaged"),
        (Says(keys.EVERY_ROW_INDEXED, False, "milvus", {"refused": 2}), "rows_refused"),
    ],
)
def test_bad_data_is_told_to_its_owner_once(
    says: Says, kind: str, platform: MemoryPlatform, instance: dg.DagsterInstance
) -> None:
    run_checks(instance, OLD, says)
    sensor = Sensor("tell_owners_of_bad_data", platform, instance)
    for _ in range(2):
        assert sensor.tick() == []
    assert "a person decides" in sensor.skipped
    (told,) = decided(platform)
    assert (told.what, told.before) == ("suppress", kind)


def test_debris_neither_becomes_the_reference_nor_retrains(
    world: World, instance: dg.DagsterInstance
) -> None:
    platform = world(acting=AUTO)
    run_checks(instance, OLD, *well(moved("e1", damaged=True, markup_low=0.2), worse("e2")))
    for name in ANSWERED:
        assert Sensor(name, platform, instance).tick() == []


def test_a_retired_model_is_not_looked_at(world: World, instance: dg.DagsterInstance) -> None:
    run_checks(instance, OLD, lost("e1"))
    run_checks(instance, NEW, lost("e2"))
    platform = world(models={OLD: STATIC | {"retired": True}, NEW: STATIC})
    (request,) = Sensor(REINDEX, platform, instance).tick()
    assert request.run_config["ops"]["rebuild"]["config"]["targets"] == [
        {"model_version": NEW, "backends": ["milvus"]}
    ]
