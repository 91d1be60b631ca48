"""Sensors of the release desk: what waits is looked at once in each state, what is young watched.

The lake is real, the backends are in memory, the ticks and runs are Dagster's own. Loading the
deployment again (`Desk.policy`) is what a restarted daemon sees.
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
from vector_platform_tests.orchestration.releasing import FROZEN, Desk

SETTLE, WATCH = "settle_waiting_releases", "watch_young_releases"


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


# -- settle_waiting_releases -----------------------------------------------------------------


@pytest.mark.deep
def test_a_rebuild_during_a_freeze_is_released_when_it_ends(desk: Desk, clock: Clock) -> None:
    desk.policy(freezes=FROZEN)
    desk.rebuild()
    assert desk.live() == "g0001"
    (first,) = desk.tick(SETTLE)
    desk.policy(freezes=FROZEN)
    (again,) = desk.tick(SETTLE)
    assert again.run_key == first.run_key, "a restarted daemon asks for the same run"
    desk.run("settle_releases", again)
    (again,) = desk.tick(SETTLE)
    assert again.run_key == first.run_key, "the same world is looked at once"
    desk.policy()
    (later,) = desk.tick(SETTLE)
    assert later.run_key != first.run_key
    desk.run("settle_releases", later)
    assert desk.live() == "g0003"
    assert desk.tick(SETTLE) == []


def test_an_open_request_is_looked_at_for_a_decision_about_it_and_every_hour(desk: Desk) -> None:
    desk.policy(approvers=["ann", "bob", "eve"], approvals=2)
    told = desk.promote(NEW)
    now = datetime(2026, 1, 5, 9, 10, tzinfo=UTC)

    def key(minutes: int = 0) -> str:
        later = now + timedelta(minutes=minutes)
        (found,) = release_sensors.settle_keys(desk.runs.platform, later)
        return found

    first = key()
    assert key(minutes=49) == first
    assert key(minutes=50) != first, "the runs of the hour before may have failed"
    decisions = Decisions(desk.runs.platform.lake, run_id="test")
    decisions.record("suppress", "guides", actor="a sensor", why="it cools down")
    assert key() == first, "nothing has changed for the request"
    desk.decide("approve", told["request"], "ann")
    assert key() != first


@pytest.mark.deep
def test_evidence_that_the_lake_has_outrun_is_measured_again(desk: Desk, clock: Clock) -> None:
    desk.policy(freezes=FROZEN)
    desk.rebuild()
    (first,) = desk.tick(SETTLE)
    desk.run("settle_releases", first)
    before = desk.requests()[-1]
    desk.move_on()
    (stale,) = desk.tick(SETTLE)
    assert stale.run_key != first.run_key
    desk.run("settle_releases", stale)
    after = desk.requests()[-1]
    assert after.open and after.evidence_id != before.evidence_id
    desk.policy()
    (later,) = desk.tick(SETTLE)
    desk.run("settle_releases", later)
    live = desk.runs.platform.live_pointer("milvus").live_generation()
    assert (live.generation, live.rows) == ("g0003", 13)


@pytest.mark.deep
@pytest.mark.usefixtures("at_once")
def test_a_settling_that_failed_is_asked_for_again_in_the_next_hour(
    desk: Desk, clock: Clock
) -> None:
    desk.policy(freezes=FROZEN)
    desk.rebuild()
    desk.move_on()
    desk.policy()
    (first,) = desk.tick(SETTLE)
    with desk.away():
        assert not desk.run("settle_releases", first, raise_on_error=False).success
    assert desk.live() == "g0001"
    clock.wait(49)
    (same,) = desk.tick(SETTLE)
    assert same.run_key == first.run_key
    clock.wait(1)
    (again,) = desk.tick(SETTLE)
    assert again.run_key != first.run_key
    desk.run("settle_releases", again)
    assert desk.live() == "g0003"


@pytest.mark.usefixtures("at_once")
def test_an_approval_whose_job_died_after_the_vote_is_settled_by_the_sensor(
    desk: Desk, clock: Clock
) -> None:
    desk.policy(approvers=["ann"])
    told = desk.promote(NEW)
    # Late, too: what it was measured on is out of date by now.
    desk.move_on()
    (before,) = desk.tick(SETTLE)
    with desk.away(), pytest.raises(RunFailed, match="no answer"):
        desk.decide("approve", told["request"], "ann")
    assert desk.live() == "g0001"
    (voted,) = desk.tick(SETTLE)
    assert voted.run_key != before.run_key
    desk.run("settle_releases", voted)
    live = desk.runs.platform.live_pointer("milvus").live_generation()
    assert (live.model_version, live.rows) == (NEW, 13)
    assert desk.tick(SETTLE) == []


def test_a_rejected_request_is_not_looked_at_any_more(desk: Desk, clock: Clock) -> None:
    desk.policy(approvers=["ann"])
    told = desk.promote(NEW)
    assert len(desk.tick(SETTLE)) == 1
    desk.decide("reject", told["request"], "ann")
    for _ in range(2):
        assert desk.tick(SETTLE) == []
        clock.wait(60)
        desk.move_on()
    assert desk.live() == "g0001"


# -- watch_young_releases --------------------------------------------------------------------


@pytest.mark.parametrize("freezes", [[], FROZEN], ids=["open", "frozen"])
def test_a_young_release_that_fails_goes_back_by_itself_freeze_or_not(
    freezes: list[dict[str, str]], desk: Desk, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk.promote(NEW)
    clock.now = utc_now()
    desk.policy(freezes=freezes)
    assert desk.live() == "g0002"
    (look,) = desk.tick(WATCH)
    assert desk.run("watch_releases", look).output_for_node("watch_op")["milvus"].startswith("keep")
    memory = desk.memory["milvus"]
    search = memory.search

    def broken(generation: Any, *args: Any, **kwargs: Any) -> Any:
        if generation.name == "g0002":
            raise IndexUnavailable("no answer")
        return search(generation, *args, **kwargs)

    monkeypatch.setattr(memory, "search", broken)
    clock.wait(11)
    (next_look,) = desk.tick(WATCH)
    assert next_look.run_key != look.run_key
    desk.run("watch_releases", next_look)
    assert desk.live() == "g0001"
    assert desk.tick(WATCH) == []
    desk.policy()
    refused = desk.promote(NEW, actor="converge", automatic=True)
    assert not refused["moved"] and "was rolled back" in refused["summary"]
    assert desk.live() == "g0001"


@pytest.mark.deep
@pytest.mark.usefixtures("at_once")
def test_a_look_that_failed_decides_nothing_and_is_followed_by_the_next_one(
    desk: Desk, clock: Clock
) -> None:
    desk.promote(NEW)
    clock.now = utc_now()
    (look,) = desk.tick(WATCH)
    desk.policy()
    (same,) = desk.tick(WATCH)
    assert (same.run_key, same.run_config) == (look.run_key, look.run_config), "restarted"
    with desk.away():
        assert not desk.run("watch_releases", same, raise_on_error=False).success
    decisions = Decisions(desk.runs.platform.lake, run_id="test").about()
    assert not {one.what for one in decisions} & {"keep", "return"}
    assert desk.live() == "g0002"
    clock.wait(11)
    (next_look,) = desk.tick(WATCH)
    assert next_look.run_key != look.run_key
    done = desk.run("watch_releases", next_look).output_for_node("watch_op")
    assert done["milvus"].startswith("keep")


def test_an_old_release_is_left_alone(desk: Desk, clock: Clock) -> None:
    desk.promote(NEW)
    clock.now = utc_now() + timedelta(minutes=61)
    assert desk.tick(WATCH) == []
