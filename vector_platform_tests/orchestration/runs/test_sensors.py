"""Retries that the daemon has missed are asked for again, and no others."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.events import EngineEventData
from dagster_shared.error import SerializableErrorInfo

from vector_platform.orchestration.dagster_internals import (
    AUTO_RETRY_RUN_ID_TAG,
    WILL_RETRY_TAG,
    get_current_datetime,
)
from vector_platform.orchestration.runs.instance import open_instance
from vector_platform.orchestration.runs.sensors import (
    HORIZON,
    PATIENCE,
    REPORTS,
    report_lost_retries,
)
from vector_platform_tests.orchestration.harness import settings_of, write_deployment

LATER = PATIENCE + timedelta(seconds=1)


@dg.op
def nothing() -> None:
    pass


@dg.job
def work() -> None:
    nothing()


@pytest.fixture
def instance(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[dg.DagsterInstance]:
    monkeypatch.delenv("DAGSTER_HOME", raising=False)
    with open_instance(settings_of(write_deployment(tmp_path / "home"))) as opened:
        yield opened


def killed(instance: dg.DagsterInstance, **tags: str) -> dg.DagsterRun:
    """A run that was started and is marked as failed, as a killed one is."""
    run = instance.create_run_for_job(work, tags=tags, status=dg.DagsterRunStatus.STARTED)
    instance.report_run_failed(run, "the process of the run is gone")
    found = instance.get_run_by_id(run.run_id)
    assert found is not None and found.status is dg.DagsterRunStatus.FAILURE
    return found


def failures(instance: dg.DagsterInstance, run: dg.DagsterRun) -> int:
    return len(instance.all_logs(run.run_id, of_type=dg.DagsterEventType.RUN_FAILURE))


def looked(instance: dg.DagsterInstance, after: timedelta = LATER) -> list[str]:
    now: datetime = get_current_datetime() + after
    return report_lost_retries(instance, now)


def test_a_killed_run_without_its_retry_is_reported_again(instance: dg.DagsterInstance) -> None:
    run = killed(instance)
    assert run.tags[WILL_RETRY_TAG] == "true"
    assert looked(instance) == [run.run_id]
    assert failures(instance, run) == 2


def test_the_daemon_has_its_time_first_and_old_runs_are_left(instance: dg.DagsterInstance) -> None:
    run = killed(instance)
    assert looked(instance, PATIENCE - timedelta(seconds=5)) == []
    assert looked(instance, HORIZON + LATER) == []
    assert failures(instance, run) == 1


def test_a_run_with_a_retry_is_left(instance: dg.DagsterInstance) -> None:
    named, followed = killed(instance), killed(instance)
    instance.add_run_tags(named.run_id, {AUTO_RETRY_RUN_ID_TAG: "elsewhere"})
    before = followed.run_id
    family = {"dagster/parent_run_id": before, "dagster/root_run_id": before}
    instance.create_run_for_job(work, tags=family, parent_run_id=before, root_run_id=before)
    assert looked(instance) == []


def test_a_run_that_is_not_to_be_retried_is_left(instance: dg.DagsterInstance) -> None:
    run = killed(instance, **{"dagster/max_retries": "0"})
    assert run.tags[WILL_RETRY_TAG] == "false"
    assert looked(instance) == []


def test_a_retry_that_could_not_be_asked_for_is_asked_for_again(
    instance: dg.DagsterInstance,
) -> None:
    run = killed(instance)
    instance.report_engine_event("Failed to retry run", run)
    instance.add_run_tags(run.run_id, {WILL_RETRY_TAG: "false"})
    assert looked(instance) == [run.run_id]
    again = instance.get_run_by_id(run.run_id)
    assert again is not None and again.tags[WILL_RETRY_TAG] == "true"


def test_a_run_that_was_killed_after_its_last_step_is_left(instance: dg.DagsterInstance) -> None:
    run = killed(instance)
    nothing_left = SerializableErrorInfo("no steps", [], "DagsterInvalidSubsetError")
    instance.report_engine_event(
        "Failed to retry run", run, engine_event_data=EngineEventData(error=nothing_left)
    )
    instance.add_run_tags(run.run_id, {WILL_RETRY_TAG: "false"})
    assert looked(instance) == []


def test_a_run_that_cannot_be_retried_is_not_reported_for_ever(
    instance: dg.DagsterInstance,
) -> None:
    run = killed(instance)
    for _ in range(REPORTS + 2):
        looked(instance)
    assert failures(instance, run) == REPORTS
