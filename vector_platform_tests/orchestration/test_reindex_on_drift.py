"""The sensor `reindex_on_drift`: one rebuild for each failed evaluation, and no others."""

from __future__ import annotations

from pathlib import Path

import dagster as dg
import pytest

from vector_platform.orchestration import keys
from vector_platform.orchestration.build import build_definitions
from vector_platform.settings import Settings
from vector_platform_tests.orchestration.harness import (
    NEW,
    OLD,
    STATIC,
    Automation,
    Request,
    settings_of,
)
from vector_platform_tests.orchestration.test_check_results import report


class Sensor:
    """The sensor of the real definitions, with its cursor."""

    def __init__(self, settings: Settings, instance: dg.DagsterInstance) -> None:
        self.instance = instance
        self.cursor: str | None = None
        repository = build_definitions(settings=settings).get_repository_def()
        self._sensor = repository.get_sensor_def("reindex_on_drift")

    def tick(self) -> list[dg.RunRequest]:
        with dg.build_sensor_context(instance=self.instance, cursor=self.cursor) as context:
            data = self._sensor.evaluate_tick(context)
        self.cursor = data.cursor
        return list(data.run_requests or [])


@pytest.fixture
def instance() -> dg.DagsterInstance:
    return dg.DagsterInstance.ephemeral()


@pytest.fixture
def sensor(settings: Settings, instance: dg.DagsterInstance) -> Sensor:
    return Sensor(settings, instance)


def test_a_failed_evaluation_asks_for_one_rebuild_that_names_it(sensor: Sensor) -> None:
    report(sensor.instance, passed=False, evaluation="e1")
    (request,) = sensor.tick()
    assert request.run_key == f"drift:{OLD}:e1"
    assert request.tags[keys.EVALUATION_TAG] == "e1"
    assert request.run_config["ops"]["rebuild"]["config"]["model_version"] == OLD
    assert sensor.tick() == []


def test_passed_evaluations_ask_for_nothing(sensor: Sensor) -> None:
    for _ in range(3):
        report(sensor.instance, passed=True, evaluation="fine")
        assert sensor.tick() == []


def test_each_model_version_and_each_evaluation_is_acted_on(sensor: Sensor) -> None:
    report(sensor.instance, passed=False, model=OLD, evaluation="e1")
    report(sensor.instance, passed=True, model=NEW, evaluation="e2")
    report(sensor.instance, passed=False, model=NEW, evaluation="e3")
    assert [request.run_key for request in sensor.tick()] == [
        f"drift:{OLD}:e1",
        f"drift:{NEW}:e3",
    ]


def test_a_later_failure_acts_again(sensor: Sensor) -> None:
    report(sensor.instance, passed=False, evaluation="e1")
    assert len(sensor.tick()) == 1
    report(sensor.instance, passed=True, evaluation="e2")
    assert sensor.tick() == []
    report(sensor.instance, passed=False, evaluation="e3")
    assert [request.run_key for request in sensor.tick()] == [f"drift:{OLD}:e3"]


def test_the_same_evaluation_has_the_same_run_key(sensor: Sensor) -> None:
    # A nightly check of unchanged vectors is the same evaluation: Dagster drops a known run key.
    report(sensor.instance, passed=False, evaluation="e1")
    first = sensor.tick()
    report(sensor.instance, passed=False, evaluation="e1")
    assert [r.run_key for r in sensor.tick()] == [r.run_key for r in first]


def test_an_evaluation_without_an_id_is_known_by_its_record(sensor: Sensor) -> None:
    report(sensor.instance, passed=False)
    report(sensor.instance, passed=False)
    assert len({request.run_key for request in sensor.tick()}) == 2


def test_a_retired_model_is_not_rebuilt(root: Path, instance: dg.DagsterInstance) -> None:
    sensor = Sensor(
        settings_of(root, models={OLD: STATIC | {"retired": True}, NEW: STATIC}), instance
    )
    report(instance, passed=False, model=OLD, evaluation="e1")
    report(instance, passed=False, model=NEW, evaluation="e2")
    assert [request.run_key for request in sensor.tick()] == [f"drift:{NEW}:e2"]
    assert sensor.tick() == []


def test_a_check_without_a_partition_is_not_acted_on(sensor: Sensor) -> None:
    report(sensor.instance, passed=False, model=None)
    assert sensor.tick() == []


def test_a_restart_with_an_old_cursor_repeats_only_known_run_keys(
    settings: Settings, sensor: Sensor
) -> None:
    report(sensor.instance, passed=False, evaluation="e1")
    before = sensor.cursor
    asked = [request.run_key for request in sensor.tick()]
    restarted = Sensor(settings, sensor.instance)
    restarted.cursor = before
    assert [request.run_key for request in restarted.tick()] == asked


def test_a_storm_of_failures_between_two_ticks_is_acted_on_in_full(sensor: Sensor) -> None:
    for number in range(30):
        report(sensor.instance, passed=False, model=(OLD, NEW)[number % 2], evaluation=str(number))
    assert [request.run_key for request in sensor.tick()] == [
        f"drift:{(OLD, NEW)[number % 2]}:{number}" for number in range(30)
    ]


def test_a_slow_model_that_drifts_after_a_quick_one_is_rebuilt(automation: Automation) -> None:
    sensor = Sensor(automation.settings, automation.instance)
    slow = automation.start(Request(("lake/embeddings",), OLD))
    automation.play(Request(("lake/embeddings",), NEW))
    assert sensor.tick() == []
    slow.materialise("lake/embeddings", failed=[keys.NO_DRIFT])
    slow.end()
    (request,) = sensor.tick()
    assert str(request.run_key).startswith(f"drift:{OLD}:")
    assert sensor.tick() == []
