"""Releases through Dagster: approval and rejection as jobs, what waits, what is young.

The lake is real, the backends are in memory, the ticks and runs are Dagster's own.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from vector_platform.indexes.contract import IndexUnavailable
from vector_platform.orchestration import release_sensors
from vector_platform.orchestration.acting_jobs import IndexTarget, ReindexConfig
from vector_platform.orchestration.release_jobs import (
    DecisionConfig,
    PromoteConfig,
    RollbackConfig,
    ShowConfig,
)
from vector_platform.orchestration.runs import RunFailed, Runs
from vector_platform.releases.decisions import Decisions, utc_now
from vector_platform.releases.requests import ReleaseRequest, ReleaseRequests
from vector_platform_tests.lake import building
from vector_platform_tests.orchestration.harness import NEW, OLD, MemoryPlatform, settings_of

MILVUS = dg.AssetKey(["milvus", "documents"])
ONLY_MILVUS = {"milvus": {"uri": "local"}, "pinecone": None}
FROZEN = [{"name": "audit", "first_day": "2020-01-01"}]


class Desk:
    """A deployment with one backend; `OLD` is live and `NEW` is indexed."""

    def __init__(self, root: Path, folder: Path) -> None:
        self.root = root
        self.folder = folder
        self.instance = dg.DagsterInstance.ephemeral()
        self.memory: Any = None
        self.policy()
        lake = self.runs.platform.lake
        building.put(lake, *(building.chunk(f"guides:{n}", f"text {n}") for n in range(12)))
        for model_version in (OLD, NEW):
            building.embed(lake, model_version)
            self.runs.materialize([MILVUS], partition=model_version)
        self.promote(OLD)

    def policy(self, **releases: Any) -> None:
        """Load the deployment again under another policy; lake, backend and instance stay."""
        settings = settings_of(self.root, indexes=ONLY_MILVUS, releases=releases)
        platform = MemoryPlatform(settings)
        platform.lake = building.open_lake(self.folder)
        if self.memory is not None:
            platform.memory = self.memory
        self.memory = platform.memory
        self.runs = Runs(platform, instance=self.instance)

    def promote(self, model: str, **config: Any) -> dict[str, Any]:
        asked = PromoteConfig(model_version=model, **{"actor": "dan", **config})
        done = self.runs.job("promote", dg.RunConfig({"promote_op": asked}))
        told: dict[str, Any] = done.outputs["promote_op"]["milvus"]
        return told

    def decide(self, verb: str, request_id: str, actor: str, **config: Any) -> dict[str, Any]:
        asked = DecisionConfig(request_id=request_id, actor=actor, reason="because", **config)
        done = self.runs.job(f"{verb}_release", dg.RunConfig({f"{verb}_op": asked}))
        told: dict[str, Any] = done.outputs[f"{verb}_op"][request_id]
        return told

    def shown(self, request_id: str = "") -> tuple[dict[str, Any], dict[str, str]]:
        """What `show_releases` says: facts, and reports as the UI has them; by request."""
        config = dg.RunConfig({"show_op": ShowConfig(request_id=request_id)})
        done = self.runs.definitions.resolve_job_def("show_releases").execute_in_process(
            instance=self.instance, run_config=config
        )
        (output,) = (e.step_output_data for e in done.all_events if e.is_successful_output)
        reports = {name: str(value.value) for name, value in output.metadata.items()}
        return done.output_for_node("show_op"), reports

    def tick(self, name: str) -> list[dg.RunRequest]:
        """One tick of a sensor."""
        sensor = self.runs.definitions.resolve_sensor_def(name)
        context = dg.build_sensor_context(
            instance=self.instance, resources={"platform": self.runs.platform}
        )
        return list(sensor.evaluate_tick(context).run_requests or [])

    def run(self, job: str, request: dg.RunRequest) -> Any:
        """Execute what a tick asked for."""
        return self.runs.definitions.resolve_job_def(job).execute_in_process(
            instance=self.instance, run_config=request.run_config, raise_on_error=True
        )

    def live(self) -> str:
        return self.runs.platform.live_pointer("milvus").live_generation().generation

    def requests(self) -> list[ReleaseRequest]:
        return ReleaseRequests(self.runs.platform.lake).all()


@pytest.fixture
def desk(root: Path, tmp_path: Path) -> Desk:
    return Desk(root, tmp_path)


def test_a_new_model_is_released_by_an_approval_job_and_not_before(desk: Desk) -> None:
    desk.policy(approvers=["ann", "bob"])
    told = desk.promote(NEW)
    assert (told["moved"], told["waits"], desk.live()) == (False, True, "g0001")
    with pytest.raises(RunFailed, match="not one of the approvers"):
        desk.decide("approve", told["request"], "dan2")
    with pytest.raises(RunFailed, match="nobody approves their own"):
        desk.decide("approve", told["request"], "dan")
    assert desk.decide("approve", told["request"], "ann")["moved"]
    assert desk.live() == "g0002"
    assert not desk.decide("approve", told["request"], "bob")["moved"]


def test_a_sensors_proposal_of_another_model_waits_and_is_shown_until_somebody_approves_it(
    desk: Desk,
) -> None:
    assert desk.shown() == ({}, {})
    told = desk.promote(NEW, actor="retrain_on_fallen_quality", automatic=True)
    asked = told["request"]
    assert (told["waits"], desk.live()) == (True, "g0001")
    facts, reports = desk.shown()
    assert "approval of anybody but who asked" in facts[asked]["summary"]
    assert reports[asked].startswith("## milvus documents")
    with pytest.raises(RunFailed, match="nobody approves their own"):
        desk.decide("approve", asked, "retrain_on_fallen_quality")
    assert desk.decide("approve", asked, "ann")["moved"]
    assert desk.live() == "g0002"
    assert desk.shown() == ({}, {})
    facts, reports = desk.shown(asked)
    assert (facts[asked]["state"], set(reports)) == ("released", {asked})


def test_an_approval_may_let_readers_lose_rows_and_says_so_in_the_record(desk: Desk) -> None:
    desk.policy(approvers=["ann", "bob"])
    asked = desk.promote(NEW)["request"]
    lake = desk.runs.platform.lake
    building.put(lake, delete=[f"guides:{n}#0" for n in range(12)])
    with pytest.raises(RunFailed, match="--allow-shrink"):
        desk.decide("approve", asked, "ann")
    assert desk.live() == "g0001"
    told = desk.decide("approve", asked, "ann", allow_shrink=True)
    # It is measured now, without a row to ask for: what was said before counts no more.
    assert "recall is undecided" in told["summary"]
    assert desk.decide("approve", asked, "ann")["moved"]
    kept = Decisions(lake, run_id="test").about(asked, what="override", actor="ann")
    assert [(one.after, one.why) for one in kept] == [("shrink", "because")]


def test_a_rejected_request_is_not_released_later(desk: Desk) -> None:
    desk.policy(approvers=["ann", "bob"])
    told = desk.promote(NEW)
    assert desk.decide("reject", told["request"], "ann")["state"] == "rejected"
    with pytest.raises(RunFailed, match="rejected"):
        desk.decide("approve", told["request"], "bob")
    assert desk.live() == "g0001"


def test_a_rebuild_during_a_freeze_is_released_when_it_ends(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk.policy(freezes=FROZEN)
    now = utc_now()
    monkeypatch.setattr(release_sensors, "utc_now", lambda: now)
    target = IndexTarget(model_version=OLD)
    rebuild = ReindexConfig(targets=[target], actor="reindex_on_lost_recall", automatic=True)
    desk.runs.job("reindex", dg.RunConfig({"rebuild": rebuild}))
    assert desk.live() == "g0001"
    (first,) = desk.tick("settle_waiting_releases")
    desk.run("settle_releases", first)
    (again,) = desk.tick("settle_waiting_releases")
    assert again.run_key == first.run_key, "the same world is looked at once"
    desk.policy()
    (later,) = desk.tick("settle_waiting_releases")
    assert later.run_key != first.run_key
    desk.run("settle_releases", later)
    assert desk.live() == "g0003"
    assert desk.tick("settle_waiting_releases") == []


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


def test_a_young_release_that_fails_goes_back_by_itself(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk.promote(NEW)
    assert desk.live() == "g0002"
    (look,) = desk.tick("watch_young_releases")
    assert desk.run("watch_releases", look).output_for_node("watch_op")["milvus"].startswith("keep")
    memory = desk.memory["milvus"]
    search = memory.search

    def broken(generation: Any, *args: Any, **kwargs: Any) -> Any:
        if generation.name == "g0002":
            raise IndexUnavailable("no answer")
        return search(generation, *args, **kwargs)

    monkeypatch.setattr(memory, "search", broken)
    later = utc_now() + timedelta(minutes=11)
    monkeypatch.setattr(release_sensors, "utc_now", lambda: later)
    (next_look,) = desk.tick("watch_young_releases")
    assert next_look.run_key != look.run_key
    desk.run("watch_releases", next_look)
    assert desk.live() == "g0001"
    assert desk.tick("watch_young_releases") == []
    refused = desk.promote(NEW, actor="converge", automatic=True)
    assert not refused["moved"] and "was rolled back" in refused["summary"]
    assert desk.live() == "g0001"


def test_an_old_release_is_left_alone(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    desk.promote(NEW)
    later = utc_now() + timedelta(minutes=61)
    monkeypatch.setattr(release_sensors, "utc_now", lambda: later)
    assert desk.tick("watch_young_releases") == []


def test_a_rollback_job_goes_back_with_a_reason(desk: Desk) -> None:
    desk.promote(NEW)
    config = RollbackConfig(actor="ann", reason="complaints")
    desk.runs.job("roll_back", dg.RunConfig({"rollback_op": config}))
    release = desk.runs.platform.live_pointer("milvus").live()
    assert release is not None and (release.actor, release.reason) == ("ann", "complaints")
    assert desk.live() == "g0001"
