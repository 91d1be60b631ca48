"""Retries that the daemon has missed are asked for again, and no others."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Literal

import dagster as dg
import pytest
from dagster._core.events import EngineEventData
from dagster._core.remote_origin import (
    GrpcServerCodeLocationOrigin,
    RemoteJobOrigin,
    RemoteRepositoryOrigin,
)
from dagster_shared.error import SerializableErrorInfo
from hypothesis import given
from hypothesis import strategies as st

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
    FailedRun,
    is_lost,
    report_lost_retries,
)
from vector_platform_tests.orchestration.harness import settings_of, write_deployment

LATER = PATIENCE + timedelta(seconds=1)


# Where a run of the daemon comes from.
ORIGIN = RemoteJobOrigin(
    RemoteRepositoryOrigin(GrpcServerCodeLocationOrigin("127.0.0.1", 1), "all"), "work"
)


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


def killed(
    instance: dg.DagsterInstance,
    tags: dict[str, str] | None = None,
    *,
    origin: RemoteJobOrigin | None = ORIGIN,
) -> dg.DagsterRun:
    """A run that was started and is marked as failed, as a killed one is."""
    run = instance.create_run_for_job(
        work, tags=tags, status=dg.DagsterRunStatus.STARTED, remote_job_origin=origin
    )
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
    run = killed(instance, {"dagster/max_retries": "0"})
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


def test_a_killed_run_of_the_command_line_is_left(instance: dg.DagsterInstance) -> None:
    run = killed(instance, origin=None)
    assert run.tags[WILL_RETRY_TAG] == "true"
    assert looked(instance) == []


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


Act = Literal["loses", "refuses", "answers", "a person retries", "waits"]


@dataclass
class Story:
    """A failed run, a daemon that does any of what daemons were seen to do, and the sensor."""

    known: FailedRun
    now: datetime
    retries: int = 0
    unread: int = 1

    def retried(self) -> None:
        self.retries += 1
        self.known = replace(self.known, has_retry=True)

    def act(self, act: Act, wait: timedelta) -> None:
        self.now += wait
        if act == "a person retries":
            self.known = replace(self.known, has_retry=True)
        elif act != "waits" and self.unread:
            # Dagster reads an event once, and starts no second retry of a run that has one.
            self.unread -= 1
            if act == "refuses":
                self.known = replace(
                    self.known, is_promised=False, is_refused=True, updated=self.now
                )
            elif act == "answers" and not self.known.has_retry:
                self.retried()

    def look(self) -> bool:
        """What `report_lost_retries` does. Whether it reported."""
        if not is_lost(self.known, self.now):
            return False
        self.unread += 1
        self.known = replace(
            self.known, is_promised=True, reports=self.known.reports + 1, updated=self.now
        )
        return True


@given(
    reports=st.integers(1, REPORTS),
    is_promised=st.booleans(),
    acts=st.lists(
        st.tuples(
            st.sampled_from(["loses", "refuses", "answers", "a person retries", "waits"]),
            st.integers(0, 400),
        ),
        max_size=40,
    ),
)
def test_whatever_the_daemon_does_a_run_is_retried_once_and_not_reported_for_ever(
    reports: int, is_promised: bool, acts: list[tuple[Act, int]]
) -> None:
    began = datetime(2026, 1, 10, 12, tzinfo=UTC)
    story = Story(FailedRun(began, is_promised, False, False, reports), began)
    reported = 0
    for act, seconds in acts:
        story.act(act, timedelta(seconds=seconds))
        had_retry, waited = story.known.has_retry, story.now - story.known.updated
        if story.look():
            reported += 1
            assert not had_retry
            assert waited >= PATIENCE
        # The next tick of the same moment reports nothing more.
        assert not story.look()
    assert reported <= REPORTS - reports
    assert story.retries <= 1
    # A daemon that answers at last has something to answer, while reports are left.
    story.now += PATIENCE
    if (is_promised or story.known.is_refused) and story.look():
        story.act("answers", timedelta())
        while story.unread:
            story.act("answers", timedelta())
        assert story.retries == 1
