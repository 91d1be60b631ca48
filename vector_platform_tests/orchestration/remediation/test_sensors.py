"""Sensors that answer failed checks: what each answers, once, and what it leaves alone.

The sensors are those of the real definitions, ticked on a real lake and history; what their runs
do is in `test_runs.py`, and how often they may start in `test_bounds.py`.
"""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime

import dagster as dg
import pytest

from vector_platform.orchestration import keys
from vector_platform.orchestration.build import build_definitions
from vector_platform.remediation import checks
from vector_platform.remediation.faults import Kind
from vector_platform.remediation.reactions import SENSORS, answered_by
from vector_platform_tests.orchestration.acting import (
    AUTO,
    FAULTS,
    FOREVER,
    HOUR,
    REEMBED,
    REINDEX,
    World,
    as_if_run,
    decided,
)
from vector_platform_tests.orchestration.harness import NEW, OLD, STATIC
from vector_platform_tests.orchestration.verdicts import (
    Says,
    Sensor,
    lost,
    moved,
    record_checks,
    run_checks,
    well,
    worse,
)
from vector_platform_tests.tiers import in_turn

every_fault = pytest.mark.parametrize("kind", in_turn("kind", FAULTS))

# -- every sensor ---------------------------------------------------------------------------


def test_every_fault_that_a_sensor_answers_with_a_run_is_tested_here() -> None:
    answers = {
        kind: sensor.name for sensor in SENSORS if sensor.job for kind in answered_by(sensor)
    }
    assert {kind: fault.sensor for kind, fault in FAULTS.items()} == answers


def test_all_sensors_are_running_by_default(bare: World) -> None:
    definitions = build_definitions(settings=bare().settings)
    for one in SENSORS:
        sensor = definitions.get_repository_def().get_sensor_def(one.name)
        assert sensor.default_status is dg.DefaultSensorStatus.RUNNING


@every_fault
def test_a_fault_is_answered_by_one_run_and_the_decision_is_recorded(
    kind: Kind, bare: World, instance: dg.DagsterInstance
) -> None:
    platform, fault = bare(acting=AUTO), FAULTS[kind]
    sensor = Sensor(fault.sensor, platform, instance)
    assert sensor.tick() == []
    assert sensor.skipped == "no check says that anything is wrong"
    run_checks(instance, OLD, *fault.says("e1"))
    (request,) = sensor.tick()
    as_if_run(instance, request)
    assert sensor.tick() == []
    assert "has been acted on" in sensor.skipped

    (act,) = decided(platform, "act")
    subject = f"{OLD} {fault.part}".strip()
    assert (act.actor, act.before, act.subject) == (fault.sensor, kind, subject)
    assert request.tags[keys.EVALUATION_TAG] == act.evidence[0]
    assert json.loads(act.after or "")["run_key"] == request.run_key


@every_fault
def test_the_same_measurement_seen_again_never_acts_twice(
    kind: Kind, bare: World, instance: dg.DagsterInstance
) -> None:
    # A nightly check of an unchanged index is the same evaluation.
    platform, fault = bare(acting=AUTO), FAULTS[kind]
    sensor, now = Sensor(fault.sensor, platform, instance), datetime.now(UTC)
    for night in range(0, 60, 20):
        record_checks(instance, OLD, *fault.says("e1"))
        for request in sensor.tick(at=now + 24 * night * HOUR):
            as_if_run(instance, request)
    assert len(decided(platform, "act")) == 1


@every_fault
def test_the_other_sensors_leave_it_alone(
    kind: Kind, bare: World, instance: dg.DagsterInstance
) -> None:
    platform, fault = bare(acting=AUTO), FAULTS[kind]
    record_checks(instance, OLD, *fault.says("e1"))
    sensor = Sensor(fault.sensor, platform, instance)
    for other in SENSORS:
        if other.name != fault.sensor:
            assert sensor.beside(other.name).tick() == []
    assert decided(platform) == []
    assert len(sensor.tick()) == 1


def test_a_model_made_from_one_that_has_changed_is_not_proposed_beside_it(
    bare: World, instance: dg.DagsterInstance
) -> None:
    adapter = {"path": "adapters/words", "kind": "static", "adapter_of": OLD}
    platform = bare(models={OLD: STATIC | {"max_tokens": 512}, "words.qa": adapter})
    for model in (OLD, "words.qa"):
        record_checks(instance, model, *FAULTS["model_changed"].says("e1", model))
    (run,) = Sensor(REEMBED, platform, instance).tick()
    assert run.run_config["ops"]["propose"]["config"]["model_versions"] == [OLD]
    (left,) = [one for one in decided(platform) if one.what == "suppress"]
    assert left.subject.startswith("words.qa") and f"made from {OLD}" in left.why


@pytest.mark.parametrize("kind", in_turn("kind", sorted(FAULTS.keys() - {"model_changed"})))
def test_a_changed_model_stops_every_other_answer(
    kind: Kind, bare: World, instance: dg.DagsterInstance
) -> None:
    fault = FAULTS[kind]
    record_checks(instance, OLD, *fault.says("e1"))
    record_checks(instance, OLD, Says(checks.CANARY, False))
    assert Sensor(fault.sensor, bare(acting=AUTO), instance).tick() == []


@every_fault
def test_an_action_that_is_a_persons_is_recorded_once_and_not_started(
    kind: Kind, bare: World, instance: dg.DagsterInstance
) -> None:
    fault = FAULTS[kind]
    platform = bare(acting={fault.action: {"by": "person"}})
    record_checks(instance, OLD, *fault.says("e1"))
    sensor = Sensor(fault.sensor, platform, instance)
    for _ in range(2):
        assert sensor.tick() == []
        assert "a person decides" in sensor.skipped
    (left,) = decided(platform)
    assert (left.what, left.actor) == ("suppress", fault.sensor)


@every_fault
def test_a_freeze_is_no_reason_to_wait(
    kind: Kind, bare: World, instance: dg.DagsterInstance
) -> None:
    platform = bare(acting=AUTO, releases={"freezes": FOREVER})
    record_checks(instance, OLD, *FAULTS[kind].says("e1"))
    assert len(Sensor(FAULTS[kind].sensor, platform, instance).tick()) == 1


# -- evidence that does not hold any more ---------------------------------------------------


@every_fault
def test_an_outage_is_no_verdict(kind: Kind, bare: World, instance: dg.DagsterInstance) -> None:
    says = FAULTS[kind].says("e1")
    record_checks(instance, OLD, *says)
    run_checks(instance, OLD, *(replace(each, passed=None) for each in says))
    assert Sensor(FAULTS[kind].sensor, bare(acting=AUTO), instance).tick() == []


@every_fault
def test_a_fault_that_a_later_check_does_not_see_is_left_alone(
    kind: Kind, bare: World, instance: dg.DagsterInstance
) -> None:
    record_checks(instance, OLD, *FAULTS[kind].says("e1"))
    record_checks(instance, OLD, *well())
    sensor = Sensor(FAULTS[kind].sensor, bare(acting=AUTO), instance)
    assert sensor.tick() == []
    assert sensor.skipped == "no check says that anything is wrong"


@pytest.mark.parametrize(
    "kind", ["recall_lost", "index_churned", "quality_fell", "distribution_moved"]
)
def test_an_answer_waits_until_what_would_forbid_it_is_known(
    kind: Kind, bare: World, instance: dg.DagsterInstance
) -> None:
    says = [each for each in FAULTS[kind].says("e1") if each.check != checks.CANARY]
    run_checks(instance, OLD, Says(checks.CANARY, None))
    record_checks(instance, OLD, *says)
    sensor = Sensor(FAULTS[kind].sensor, bare(acting=AUTO), instance)
    assert sensor.tick() == []
    assert checks.CANARY in sensor.skipped
    record_checks(instance, OLD, Says(checks.CANARY))
    assert len(sensor.tick()) == 1


def test_an_alarm_waits_for_evidence_that_has_seen_what_moved(
    bare: World, instance: dg.DagsterInstance
) -> None:
    sensor = Sensor("recalibrate_on_drift", bare(acting=AUTO), instance)
    day = well(moved("e1"))
    record_checks(instance, OLD, *(says for says in day if says.backend is None))
    assert sensor.tick() == []
    assert "index_recall_holds on milvus" in sensor.skipped
    record_checks(instance, OLD, *(says for says in day if says.backend is not None))
    assert len(sensor.tick()) == 1


# -- what is nobody's to start --------------------------------------------------------------


@pytest.mark.parametrize(
    ("says", "kind"),
    [
        (Says(checks.VECTORS, False), "contract_broken"),
        (moved("e1", damaged=True, markup_low=0.2), "ingest_damaged"),
        (Says(checks.REFUSED, False, "milvus", {"refused": 2}), "rows_refused"),
    ],
)
def test_bad_data_is_told_to_its_owner_once(
    says: Says, kind: str, bare: World, instance: dg.DagsterInstance
) -> None:
    platform = bare()
    record_checks(instance, OLD, says)
    sensor = Sensor("tell_owners_of_bad_data", platform, instance)
    for _ in range(2):
        assert sensor.tick() == []
    assert "a person decides" in sensor.skipped
    (told,) = decided(platform)
    assert (told.what, told.before) == ("suppress", kind)


def test_debris_neither_becomes_the_reference_nor_retrains(
    bare: World, instance: dg.DagsterInstance
) -> None:
    sensor = Sensor(REINDEX, bare(acting=AUTO), instance)
    record_checks(instance, OLD, *well(moved("e1", damaged=True, markup_low=0.2), worse("e2")))
    for fault in FAULTS.values():
        assert sensor.beside(fault.sensor).tick() == []


def test_a_retired_model_is_not_looked_at(bare: World, instance: dg.DagsterInstance) -> None:
    record_checks(instance, OLD, lost("e1"))
    record_checks(instance, NEW, lost("e2"))
    platform = bare(models={OLD: STATIC | {"retired": True}, NEW: STATIC})
    (request,) = Sensor(REINDEX, platform, instance).tick()
    assert request.run_config["ops"]["rebuild"]["config"]["targets"] == [
        {"model_version": NEW, "backends": ["milvus"]}
    ]
