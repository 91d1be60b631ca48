"""Sensors that answer failed checks: ticked on real runs, whose jobs are real runs too.

The lake is real, the backends are in memory, the runs are Dagster's own, in process.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from dagster._core.storage.tags import RUN_KEY_TAG

from vector_platform.indexes.contract import IndexUnavailable
from vector_platform.indexes.state import IndexStates
from vector_platform.orchestration import keys, retries
from vector_platform.orchestration.build import build_definitions
from vector_platform.orchestration.reembedding import name_anew
from vector_platform.orchestration.sensors import REACTIONS
from vector_platform.quality import faults
from vector_platform.releases.decisions import Decision, Decisions
from vector_platform.releases.requests import ReleaseRequest, ReleaseRequests
from vector_platform_tests.indexes.memory_index import MemoryIndex
from vector_platform_tests.lake import building
from vector_platform_tests.orchestration.harness import (
    NEW,
    OLD,
    STATIC,
    MemoryPlatform,
    settings_of,
)
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

HOUR = timedelta(hours=1)
REINDEX = "reindex_on_lost_recall"
REPAIR = "repair_on_divergence"
REEMBED = "reembed_on_changed_model"
RETRAIN = "retrain_on_fallen_quality"
RECALIBRATE = "recalibrate_on_drift"

World = Callable[..., MemoryPlatform]


@pytest.fixture
def world(root: Path, tmp_path: Path) -> World:
    """A deployment with six chunks under two model versions, each with a live index."""

    def build(**changes: Any) -> MemoryPlatform:
        platform = MemoryPlatform(settings_of(root, **changes))
        platform.lake = building.open_lake(tmp_path)
        building.put(platform.lake, *(building.chunk(f"guides:{n}", f"text {n}") for n in range(6)))
        for model_version in (OLD, NEW):
            building.embed(platform.lake, model_version)
            for backend in BACKENDS:
                platform.index_sync(backend, run_id="test").sync(model_version)
        return platform

    return build


@pytest.fixture
def platform(world: World) -> MemoryPlatform:
    return world()


@pytest.fixture(scope="session")
def healthy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Home of an instance in which every check of every model version has passed once."""
    home = tmp_path_factory.mktemp("healthy")
    with dg.DagsterInstance.local_temp(str(home)) as instance:
        run_checks(instance, None, Says(faults.CHUNKS))
        for model_version in (OLD, NEW):
            run_checks(instance, model_version, *well())
    return home


@pytest.fixture
def instance(healthy: Path, tmp_path: Path) -> Iterator[dg.DagsterInstance]:
    home = shutil.copytree(healthy, tmp_path / "dagster")
    with dg.DagsterInstance.local_temp(str(home)) as instance:
        yield instance


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retries, "RETRY_SECONDS", 0)


def generations(platform: MemoryPlatform, backend: str, model_version: str) -> int:
    states = IndexStates(platform.lake.index_state, backend, "documents").all()
    return sum(
        state.model_version == model_version and state.status == "proven" for state in states
    )


def decided(platform: MemoryPlatform, what: str | None = None) -> list[Decision]:
    found = Decisions(platform.lake, run_id="test").about()
    return [decision for decision in found if what in (None, decision.what)]


def as_if_run(
    instance: dg.DagsterInstance,
    request: dg.RunRequest,
    status: dg.DagsterRunStatus = dg.DagsterRunStatus.SUCCESS,
) -> None:
    """A run of a request that has ended, without its work."""
    tags = {**request.tags, RUN_KEY_TAG: str(request.run_key)}
    instance.add_run(dg.DagsterRun(job_name="job", tags=tags, status=status))


def break_milvus(platform: MemoryPlatform, monkeypatch: pytest.MonkeyPatch) -> MemoryIndex:
    def away(generation: object) -> None:
        raise IndexUnavailable("milvus does not answer")

    index = platform.target("milvus")
    assert isinstance(index, MemoryIndex)
    monkeypatch.setattr(index, "create", away)
    return index


# -- every sensor ---------------------------------------------------------------------------

ANSWERED: dict[str, tuple[list[Says], str, str]] = {
    REPAIR: ([Says(keys.INDEX_MATCHES, False, "milvus")], "index_diverged", f"{OLD} milvus"),
    REINDEX: ([lost("e1")], "recall_lost", f"{OLD} milvus"),
    REEMBED: ([Says(faults.CANARY, False)], "model_changed", OLD),
    RETRAIN: ([worse("e1")], "quality_fell", OLD),
    # Evidence as new as the alarm: all of it from one run.
    RECALIBRATE: (well(moved("e1")), "distribution_moved", OLD),
}
AUTO = {"accept_reference": {"by": "auto"}}


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
    actions = ("repair", "rebuild", "retrain", "propose_version", "accept_reference")
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


# -- what its runs do -----------------------------------------------------------------------


@pytest.mark.parametrize("name", [REPAIR, REINDEX])
def test_what_is_done_is_done_to_that_index_and_to_nothing_else(
    name: str, platform: MemoryPlatform, instance: dg.DagsterInstance
) -> None:
    sensor = Sensor(name, platform, instance)
    run_checks(instance, OLD, *ANSWERED[name][0])
    (request,) = sensor.tick()
    assert sensor.start(request).success
    built = {
        (backend, model): generations(platform, backend, model)
        for backend in BACKENDS
        for model in (OLD, NEW)
    }
    more = {("milvus", OLD)} if name == REINDEX else set()
    assert built == {place: 2 if place in more else 1 for place in built}


def test_a_changed_model_is_proposed_under_a_name_of_its_own_and_the_old_one_is_left(
    world: World, tmp_path: Path, instance: dg.DagsterInstance
) -> None:
    platform = world(data=str(tmp_path / "data"), golden_queries={})
    vectors = platform.lake.vectors(OLD).count_rows()
    sensor = Sensor(REEMBED, platform, instance)
    run_checks(instance, OLD, *ANSWERED[REEMBED][0])
    (request,) = sensor.tick()
    done = sensor.start(request)
    assert done.success
    name = done.output_for_node("propose")[OLD]["model_version"]
    assert name.startswith(f"{OLD}.re-")
    assert platform.lake.count_missing(name, platform.lake.snapshot()) == 0
    assert platform.lake.vectors(OLD).count_rows() == vectors
    assert [generations(platform, backend, name) for backend in BACKENDS] == [1, 1]
    asked = ReleaseRequests(platform.lake).all()
    assert {(each.model_version, each.backend, each.requester) for each in asked} == {
        (name, backend, REEMBED) for backend in BACKENDS
    }
    # The same weights get the same name: another run embeds nothing anew.
    assert name_anew(platform, OLD) == name


def test_a_reference_of_too_few_days_is_left_to_people(
    world: World, instance: dg.DagsterInstance
) -> None:
    platform = world(acting=AUTO)
    sensor = Sensor(RECALIBRATE, platform, instance)
    run_checks(instance, OLD, *ANSWERED[RECALIBRATE][0])
    (request,) = sensor.tick()
    assert not sensor.start(request).success
    assert sensor.tick(at=datetime.now(UTC) + HOUR) == []
    assert "needs a person" in sensor.skipped


def test_an_alarm_waits_for_evidence_that_has_seen_what_moved(
    world: World, instance: dg.DagsterInstance
) -> None:
    sensor = Sensor(RECALIBRATE, world(acting=AUTO), instance)
    day = well(moved("e1"))
    run_checks(instance, OLD, *(says for says in day if says.backend is None))
    assert sensor.tick() == []
    assert "index_recall_holds on milvus" in sensor.skipped
    run_checks(instance, OLD, *(says for says in day if says.backend is not None))
    assert len(sensor.tick()) == 1


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


# -- runs that fail -------------------------------------------------------------------------


@pytest.mark.usefixtures("at_once")
def test_a_failed_run_is_started_again_a_bounded_number_of_times(
    platform: MemoryPlatform, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    break_milvus(platform, monkeypatch)
    sensor = Sensor(REINDEX, platform, instance)
    run_checks(instance, OLD, lost("e1"))
    now, run_keys = datetime.now(UTC), []
    for hour in range(6):
        for request in sensor.tick(at=now + hour * HOUR):
            run_keys.append(request.run_key)
            assert not sensor.start(request).success
        assert sensor.tick(at=now + hour * HOUR) == []
    assert [str(key).rsplit(":", 1)[1] for key in run_keys] == ["1", "2", "3"]
    assert "given up after 3 failed runs" in sensor.skipped


@pytest.mark.usefixtures("at_once")
def test_a_backend_that_comes_back_gets_its_index_at_the_next_attempt(
    platform: MemoryPlatform, instance: dg.DagsterInstance
) -> None:
    sensor = Sensor(REINDEX, platform, instance)
    run_checks(instance, OLD, lost("e1"))
    now = datetime.now(UTC)
    with pytest.MonkeyPatch.context() as patched:
        break_milvus(platform, patched)
        (first,) = sensor.tick(at=now)
        assert not sensor.start(first).success
    assert sensor.tick(at=now) == []
    assert "starts 0:15:00 later" in sensor.skipped
    (second,) = sensor.tick(at=now + HOUR)
    assert sensor.start(second).success
    assert sensor.tick(at=now + 2 * HOUR) == []
    assert generations(platform, "milvus", OLD) == 2


def test_a_run_that_needs_a_person_is_not_started_again(
    platform: MemoryPlatform, instance: dg.DagsterInstance
) -> None:
    sensor = Sensor(REINDEX, platform, instance)
    run_checks(instance, OLD, lost("e1"))
    (request,) = sensor.tick()
    # Chunks without vectors: no index is built before they are embedded.
    building.put(platform.lake, building.chunk("guides:new", "not embedded yet"))
    assert not sensor.start(request).success
    for hour in range(3):
        assert sensor.tick(at=datetime.now(UTC) + hour * HOUR) == []
        assert "needs a person" in sensor.skipped


def test_a_run_that_a_person_stopped_is_not_started_again(
    platform: MemoryPlatform, instance: dg.DagsterInstance
) -> None:
    sensor = Sensor(REINDEX, platform, instance)
    run_checks(instance, OLD, lost("e1"))
    (request,) = sensor.tick()
    as_if_run(instance, request, dg.DagsterRunStatus.CANCELED)
    assert sensor.tick(at=datetime.now(UTC) + 2 * HOUR) == []


# -- what a run ends in: a release request ---------------------------------------------------

FOREVER = [{"name": "year end", "first_day": "2020-01-01"}]
# Another kind of index is not a mere rebuild, so its release needs an approval.
OTHER_SPEC = {"milvus": {"index_type": "FLAT"}}


def go_live(platform: MemoryPlatform) -> None:
    for backend in BACKENDS:
        newest = IndexStates(platform.lake.index_state, backend, "documents").newest(OLD)
        assert newest is not None
        platform.live_pointer(backend).promote(
            newest, actor="test", reason="first", evidence={}, run_id="test"
        )


def live(platform: MemoryPlatform) -> str:
    return platform.live_pointer("milvus").live_generation().generation


def rebuilt(platform: MemoryPlatform, instance: dg.DagsterInstance) -> ReleaseRequest:
    """The release request that an answer to lost recall has ended in."""
    sensor = Sensor(REINDEX, platform, instance)
    run_checks(instance, OLD, lost("e1"))
    (request,) = sensor.tick()
    assert sensor.start(request).success
    (asked,) = ReleaseRequests(platform.lake).all()
    assert (asked.requester, asked.automatic) == (REINDEX, True)
    return asked


def left(platform: MemoryPlatform, instance: dg.DagsterInstance, hours: int) -> str:
    """What the sensor says to another measurement, hours later."""
    run_checks(instance, OLD, lost(f"after {hours} h"))
    sensor = Sensor(REINDEX, platform, instance)
    assert sensor.tick(at=datetime.now(UTC) + hours * HOUR) == []
    return sensor.skipped


def test_a_freeze_stops_no_rebuild_but_its_release(
    world: World, instance: dg.DagsterInstance
) -> None:
    platform = world(releases={"freezes": FOREVER})
    go_live(platform)
    before = live(platform)
    asked = rebuilt(platform, instance)
    assert generations(platform, "milvus", OLD) == 2
    assert live(platform) == before
    assert "year end" in asked.waits_for
    assert f"{asked.request_id} waits" in left(platform, instance, 25)


def test_a_late_approval_is_held_against_the_lake_of_that_moment_and_frees_the_sensor(
    world: World, instance: dg.DagsterInstance
) -> None:
    go_live(world())
    platform = world(indexes=OTHER_SPEC, releases={"approvers": ["ann"]})
    asked = rebuilt(platform, instance)
    assert "1 approval of ann" in asked.waits_for
    assert f"{asked.request_id} waits" in left(platform, instance, 25)
    # The evidence is out of date by now: the lake has moved on.
    building.put(platform.lake, building.chunk("guides:new", "a text that came later"))
    building.embed(platform.lake, OLD)
    settled = platform.release_desk("milvus", run_id="test").approve(
        asked.request_id, actor="ann", reason="seen"
    )
    assert settled.moved
    assert live(platform) == asked.generation
    assert platform.live_pointer("milvus").live_generation().rows == 7
    run_checks(instance, OLD, lost("much later"))
    assert len(Sensor(REINDEX, platform, instance).tick(at=datetime.now(UTC) + 26 * HOUR)) == 1


def test_after_a_rejection_nothing_is_built_for_a_while(
    world: World, instance: dg.DagsterInstance
) -> None:
    go_live(world())
    platform = world(
        indexes=OTHER_SPEC,
        releases={"approvers": ["ann"]},
        acting={"rebuild": {"cooldown_hours": 1}},
    )
    before = live(platform)
    asked = rebuilt(platform, instance)
    desk = platform.release_desk("milvus", run_id="test")
    desk.reject(asked.request_id, actor="ann", reason="not this week")
    assert live(platform) == before
    # The cooldown of the run itself is over by then, that of the rejection is not.
    acted = decided(platform, "act")[0].decided_at
    rejected = ReleaseRequests(platform.lake).get(asked.request_id).updated_at
    run_checks(instance, OLD, lost("e2"))
    sensor = Sensor(REINDEX, platform, instance)
    assert sensor.tick(at=max(acted + HOUR, rejected)) == []
    assert f"{asked.request_id} was rejected" in sensor.skipped
    assert len(sensor.tick(at=rejected + HOUR)) == 1


# -- what is nobody's to start --------------------------------------------------------------


@pytest.mark.parametrize(
    ("says", "kind"),
    [
        (Says(faults.VECTORS, False), "contract_broken"),
        (Says(keys.EVERY_ROW_INDEXED, False, "milvus", {"refused": 2}), "rows_refused"),
        (
            moved("e1", global_alarm=False, slices_alarmed=[{"tenant": "iam", "source": "aws"}]),
            "slice_moved",
        ),
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


def test_a_retired_model_is_not_looked_at(world: World, instance: dg.DagsterInstance) -> None:
    run_checks(instance, OLD, lost("e1"))
    run_checks(instance, NEW, lost("e2"))
    platform = world(models={OLD: STATIC | {"retired": True}, NEW: STATIC})
    (request,) = Sensor(REINDEX, platform, instance).tick()
    assert request.run_config["ops"]["rebuild"]["config"]["targets"] == [
        {"model_version": NEW, "backends": ["milvus"]}
    ]
