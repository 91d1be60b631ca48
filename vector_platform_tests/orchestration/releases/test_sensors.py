"""Sensors of the release service: what waits is looked at once in each state, what is baking
monitored.

The lake is real, the backends are in memory, the ticks and runs are Dagster's own. Loading the
deployment again (`Service.policy`) is what a restarted daemon sees.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from vector_platform.indexes.contract import IndexUnavailable
from vector_platform.lake.decisions import Decisions, utc_now
from vector_platform.orchestration.launch import RunFailed
from vector_platform.orchestration.releases import sensors as release_sensors
from vector_platform_tests.orchestration.harness import NEW
from vector_platform_tests.orchestration.releasing import FROZEN, Service
from vector_platform_tests.tiers import in_turn

RECONCILE, WATCH = "reconcile_waiting_releases", "monitor_baking_releases"


class Clock:
    """The clock of the sensors, stopped."""

    def __init__(self) -> None:
        self.now = utc_now().replace(minute=10)

    def __call__(self) -> datetime:
        return self.now

    def wait(self, minutes: int) -> None:
        self.now += timedelta(minutes=minutes)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    stopped = Clock()
    monkeypatch.setattr(release_sensors, "utc_now", stopped)
    return stopped


# -- reconcile_waiting_releases -----------------------------------------------------------------


@pytest.mark.deep
def test_a_rebuild_during_a_freeze_is_released_when_it_ends(service: Service, clock: Clock) -> None:
    service.policy(freezes=FROZEN)
    service.rebuild()
    assert service.live() == "g0001"
    (first,) = service.tick(RECONCILE)
    service.policy(freezes=FROZEN)
    (again,) = service.tick(RECONCILE)
    assert again.run_key == first.run_key, "a restarted daemon asks for the same run"
    service.run("reconcile_releases", again)
    (again,) = service.tick(RECONCILE)
    assert again.run_key == first.run_key, "the same world is looked at once"
    service.policy()
    (later,) = service.tick(RECONCILE)
    assert later.run_key != first.run_key
    service.run("reconcile_releases", later)
    assert service.live() == "g0003"
    assert service.tick(RECONCILE) == []


def test_an_open_request_is_looked_at_for_a_decision_about_it_and_every_hour(
    service: Service,
) -> None:
    service.policy(approvers=["ann", "bob", "eve"], approvals=2)
    told = service.promote(NEW)
    now = datetime(2026, 1, 5, 9, 10, tzinfo=UTC)

    def key(minutes: int = 0) -> str:
        later = now + timedelta(minutes=minutes)
        (found,) = release_sensors.reconcile_keys(service.runs.platform, later)
        return found

    first = key()
    assert key(minutes=49) == first
    assert key(minutes=50) != first, "the runs of the hour before may have failed"
    decisions = Decisions(service.runs.platform.lake, run_id="test")
    decisions.record("suppress", "guides", actor="a sensor", why="it cools down")
    assert key() == first, "nothing has changed for the request"
    service.decide("approve", told["request"], "ann")
    assert key() != first


@pytest.mark.deep
def test_evidence_that_the_lake_has_outrun_is_measured_again(
    service: Service, clock: Clock
) -> None:
    service.policy(freezes=FROZEN)
    service.rebuild()
    (first,) = service.tick(RECONCILE)
    service.run("reconcile_releases", first)
    before = service.requests()[-1]
    service.move_on()
    (stale,) = service.tick(RECONCILE)
    assert stale.run_key != first.run_key
    service.run("reconcile_releases", stale)
    after = service.requests()[-1]
    assert after.open and after.evidence_id != before.evidence_id
    service.policy()
    (later,) = service.tick(RECONCILE)
    service.run("reconcile_releases", later)
    live = service.runs.platform.live_pointer("milvus").live_generation()
    assert (live.generation, live.rows) == ("g0003", 13)


@pytest.mark.deep
@pytest.mark.usefixtures("at_once")
def test_a_reconciliation_that_failed_is_asked_for_again_in_the_next_hour(
    service: Service, clock: Clock
) -> None:
    service.policy(freezes=FROZEN)
    service.rebuild()
    service.move_on()
    service.policy()
    (first,) = service.tick(RECONCILE)
    with service.away():
        assert not service.run("reconcile_releases", first, raise_on_error=False).success
    assert service.live() == "g0001"
    clock.wait(49)
    (same,) = service.tick(RECONCILE)
    assert same.run_key == first.run_key
    clock.wait(1)
    (again,) = service.tick(RECONCILE)
    assert again.run_key != first.run_key
    service.run("reconcile_releases", again)
    assert service.live() == "g0003"


@pytest.mark.usefixtures("at_once")
def test_an_approval_whose_job_died_after_the_vote_is_reconciled_by_the_sensor(
    service: Service, clock: Clock
) -> None:
    service.policy(approvers=["ann"])
    told = service.promote(NEW)
    # Late, too: what it was measured on is out of date by now.
    service.move_on()
    (before,) = service.tick(RECONCILE)
    with service.away(), pytest.raises(RunFailed, match="no answer"):
        service.decide("approve", told["request"], "ann")
    assert service.live() == "g0001"
    (voted,) = service.tick(RECONCILE)
    assert voted.run_key != before.run_key
    service.run("reconcile_releases", voted)
    live = service.runs.platform.live_pointer("milvus").live_generation()
    assert (live.model_version, live.rows) == (NEW, 13)
    assert service.tick(RECONCILE) == []


def test_a_rejected_request_is_not_looked_at_any_more(service: Service, clock: Clock) -> None:
    service.policy(approvers=["ann"])
    told = service.promote(NEW)
    assert len(service.tick(RECONCILE)) == 1
    service.decide("reject", told["request"], "ann")
    for _ in range(2):
        assert service.tick(RECONCILE) == []
        clock.wait(60)
        service.move_on()
    assert service.live() == "g0001"


# -- monitor_baking_releases --------------------------------------------------------------------


@pytest.mark.parametrize("freezes", in_turn("freezes", [[], FROZEN]), ids=["open", "frozen"])
def test_a_baking_release_that_fails_goes_back_by_itself_freeze_or_not(
    freezes: list[dict[str, str]], service: Service, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    service.promote(NEW)
    clock.now = utc_now()
    service.policy(freezes=freezes)
    assert service.live() == "g0002"
    (look,) = service.tick(WATCH)
    assert (
        service.run("monitor_releases", look)
        .output_for_node("monitor_op")["milvus"]
        .startswith("keep")
    )
    memory = service.memory["milvus"]
    search = memory.search

    def broken(generation: Any, *args: Any, **kwargs: Any) -> Any:
        if generation.name == "g0002":
            raise IndexUnavailable("no answer")
        return search(generation, *args, **kwargs)

    monkeypatch.setattr(memory, "search", broken)
    clock.wait(11)
    (next_look,) = service.tick(WATCH)
    assert next_look.run_key != look.run_key
    service.run("monitor_releases", next_look)
    assert service.live() == "g0001"
    assert service.tick(WATCH) == []
    service.policy()
    refused = service.promote(NEW, actor="converge", automatic=True)
    assert not refused["moved"] and "was rolled back" in refused["summary"]
    assert service.live() == "g0001"


@pytest.mark.deep
@pytest.mark.usefixtures("at_once")
def test_a_look_that_failed_decides_nothing_and_is_followed_by_the_next_one(
    service: Service, clock: Clock
) -> None:
    service.promote(NEW)
    clock.now = utc_now()
    (look,) = service.tick(WATCH)
    service.policy()
    (same,) = service.tick(WATCH)
    assert (same.run_key, same.run_config) == (look.run_key, look.run_config), "restarted"
    with service.away():
        assert not service.run("monitor_releases", same, raise_on_error=False).success
    decisions = Decisions(service.runs.platform.lake, run_id="test").about()
    assert not {one.what for one in decisions} & {"keep", "return"}
    assert service.live() == "g0002"
    clock.wait(11)
    (next_look,) = service.tick(WATCH)
    assert next_look.run_key != look.run_key
    done = service.run("monitor_releases", next_look).output_for_node("monitor_op")
    assert done["milvus"].startswith("keep")


def test_an_old_release_is_left_alone(service: Service, clock: Clock) -> None:
    service.promote(NEW)
    clock.now = utc_now() + timedelta(minutes=61)
    assert service.tick(WATCH) == []
