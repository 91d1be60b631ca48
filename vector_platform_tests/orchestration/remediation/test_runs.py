"""What runs that sensors have started do, how they fail, and the release requests they end in.

The lake is real, the backends are in memory, the runs are Dagster's own, in process.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import dagster as dg
import pytest

from vector_platform.indexes.state import IndexStates
from vector_platform.orchestration.dagster_internals import RUN_KEY_TAG
from vector_platform.orchestration.indexes.jobs import repair_op
from vector_platform.orchestration.remediation.action_log import ActionLog
from vector_platform.orchestration.remediation.recalibration import (
    RecalibrateConfig,
    recalibrate_reference,
)
from vector_platform.orchestration.remediation.reembedding import name_anew
from vector_platform.quality.drift.calibration import MIN_REFERENCE_DAYS
from vector_platform.quality.sketches.references import newest_reference
from vector_platform.releases.requests.requests import ReleaseRequest, ReleaseRequests
from vector_platform.remediation import checks
from vector_platform.remediation.decision import ActionDecision, PlannedRun
from vector_platform.remediation.faults import Diagnosis, Kind, Scope
from vector_platform_tests.lake import building
from vector_platform_tests.lake.building import MODEL, append_vectors
from vector_platform_tests.orchestration.acting import (
    AUTO,
    FAULTS,
    FOREVER,
    HOUR,
    RECALIBRATE,
    REEMBED,
    REINDEX,
    REPAIR,
    World,
    break_milvus,
    decided,
    generations,
)
from vector_platform_tests.orchestration.harness import NEW, OLD, MemoryPlatform
from vector_platform_tests.orchestration.verdicts import BACKENDS, Says, Sensor, lost, record_checks
from vector_platform_tests.quality.streams import Stream, vectors

# -- what its runs do -----------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["index_diverged", "recall_lost"])
def test_what_is_done_is_done_to_that_index_and_to_nothing_else(
    kind: Kind, platform: MemoryPlatform, instance: dg.DagsterInstance
) -> None:
    sensor = Sensor(FAULTS[kind].sensor, platform, instance)
    record_checks(instance, OLD, *FAULTS[kind].says("e1"))
    (request,) = sensor.tick()
    assert sensor.start(request).success
    built = {
        (backend, model): generations(platform, backend, model)
        for backend in BACKENDS
        for model in (OLD, NEW)
    }
    more = {("milvus", OLD)} if kind == "recall_lost" else set()
    assert built == {place: 2 if place in more else 1 for place in built}


def test_a_storm_of_lost_recall_is_every_index_built_once_by_one_run(
    platform: MemoryPlatform, instance: dg.DagsterInstance
) -> None:
    sensor = Sensor(REINDEX, platform, instance)
    for model in (OLD, NEW):
        record_checks(instance, model, *(lost(f"{model} {name}", name) for name in BACKENDS))
    (request,) = sensor.tick()
    assert sensor.start(request).success
    assert sensor.tick() == []
    assert [generations(platform, b, m) for b in BACKENDS for m in (OLD, NEW)] == [2] * 4


@pytest.mark.deep
def test_a_storm_of_damage_is_one_repair_of_each_backend(
    platform: MemoryPlatform, instance: dg.DagsterInstance
) -> None:
    for model in (OLD, NEW):
        record_checks(instance, model, *(Says(checks.PARITY, False, b) for b in BACKENDS))
    sensor = Sensor(REPAIR, platform, instance)
    requests = sensor.tick()
    assert [request.job_name for request in requests] == [f"repair_{one}" for one in BACKENDS]
    for backend, request in zip(BACKENDS, requests, strict=True):
        done = sensor.start(request)
        assert done.success
        assert done.output_for_node(repair_op(backend)).keys() == {OLD, NEW}
    # The repair has compared again, and says so in the checks.
    assert sensor.tick() == []
    assert sensor.skipped == "no check says that anything is wrong"


def test_a_changed_model_is_proposed_under_a_name_of_its_own_and_the_old_one_is_left(
    world: World, instance: dg.DagsterInstance
) -> None:
    platform = world(golden_queries={}, releases={"approvers": ["ann"]})
    go_live(platform)
    vectors = platform.lake.vectors(OLD).count_rows()
    sensor = Sensor(REEMBED, platform, instance)
    record_checks(instance, OLD, *FAULTS["model_changed"].says("e1"))
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
    # Nor does the sensor ask for one while it waits, or has just been rejected.
    now = datetime.now(UTC)
    record_checks(instance, OLD, *FAULTS["model_changed"].says("e2"))
    assert sensor.tick(at=now + 30 * 24 * HOUR) == []
    assert any(f"{each.request_id} waits" in sensor.skipped for each in asked)
    for each in asked:
        service = platform.release_service(each.backend, run_id="test")  # type: ignore[arg-type]
        service.reject(each.request_id, actor="ann", reason="mend the model")
    assert sensor.tick(at=now + HOUR) == []
    assert any(f"{each.request_id} was rejected" in sensor.skipped for each in asked)
    assert len(sensor.tick(at=now + 30 * 24 * HOUR)) == 1


def test_a_reference_of_too_few_days_is_left_to_people(
    world: World, instance: dg.DagsterInstance
) -> None:
    platform = world(acting=AUTO)
    sensor = Sensor(RECALIBRATE, platform, instance)
    record_checks(instance, OLD, *FAULTS["distribution_moved"].says("e1"))
    (request,) = sensor.tick()
    assert not sensor.start(request).success
    assert sensor.tick(at=datetime.now(UTC) + HOUR) == []
    assert "needs a person" in sensor.skipped


@pytest.mark.deep
def test_a_reference_that_a_person_accepts_is_a_decision_taken_once(
    platform: MemoryPlatform, instance: dg.DagsterInstance
) -> None:
    lake, job = platform.lake, recalibrate_reference
    stream = Stream(lake)
    stream.add_days({day: vectors(stream.rng, 20) for day in range(MIN_REFERENCE_DAYS)})
    config = RecalibrateConfig(model_versions=[MODEL], reason="a new catalogue", actor="ada")

    def accept() -> bool:
        return job.execute_in_process(
            run_config=dg.RunConfig({"recalibrate": config}),
            resources={"platform": platform},
            instance=instance,
            raise_on_error=False,
        ).success

    # What the lake held before has no vector under this model yet.
    assert not accept() and decided(platform, "recalibrate") == []
    missing = [
        content
        for batch in lake.missing_contents(MODEL, chunks_version=lake.chunks.version())
        for content in batch.column("content_hash").to_pylist()
    ]
    append_vectors(lake, MODEL, dict(zip(missing, vectors(stream.rng, len(missing)), strict=True)))
    assert accept() and accept()
    (one,) = decided(platform, "recalibrate")
    reference = newest_reference(lake, MODEL)
    assert reference is not None
    assert (one.actor, one.why, one.before) == ("ada", "a new catalogue", None)
    assert one.subject == f"{MODEL} reference {reference.sequence}"
    assert one.after == f"{reference.first_day} to {reference.last_day}"


# -- runs that fail -------------------------------------------------------------------------


@pytest.mark.deep
@pytest.mark.usefixtures("at_once")
def test_a_backend_that_comes_back_gets_its_index_at_the_next_attempt(
    platform: MemoryPlatform, instance: dg.DagsterInstance
) -> None:
    sensor = Sensor(REINDEX, platform, instance)
    record_checks(instance, OLD, lost("e1"))
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


# -- what a run ends in: a release request ---------------------------------------------------

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
    record_checks(instance, OLD, lost("e1"))
    (request,) = sensor.tick()
    assert sensor.start(request).success
    (asked,) = ReleaseRequests(platform.lake).all()
    assert (asked.requester, asked.automatic) == (REINDEX, True)
    return asked


def left(platform: MemoryPlatform, instance: dg.DagsterInstance, hours: int) -> str:
    """What the sensor says to another measurement, hours later."""
    record_checks(instance, OLD, lost(f"after {hours} h"))
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


@pytest.mark.deep
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
    reconciled = platform.release_service("milvus", run_id="test").approve(
        asked.request_id, actor="ann", reason="seen"
    )
    assert reconciled.moved
    assert live(platform) == asked.generation
    assert platform.live_pointer("milvus").live_generation().rows == 7
    record_checks(instance, OLD, lost("much later"))
    assert len(Sensor(REINDEX, platform, instance).tick(at=datetime.now(UTC) + 26 * HOUR)) == 1


@pytest.mark.deep
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
    service = platform.release_service("milvus", run_id="test")
    service.reject(asked.request_id, actor="ann", reason="not this week")
    assert live(platform) == before
    # The cooldown of the run itself is over by then, that of the rejection is not.
    acted = decided(platform, "act")[0].decided_at
    rejected = ReleaseRequests(platform.lake).get(asked.request_id).updated_at
    record_checks(instance, OLD, lost("e2"))
    sensor = Sensor(REINDEX, platform, instance)
    assert sensor.tick(at=max(acted + HOUR, rejected)) == []
    assert f"{asked.request_id} was rejected" in sensor.skipped
    assert len(sensor.tick(at=rejected + HOUR)) == 1


@pytest.mark.parametrize("status", [dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE])
def test_what_became_of_many_actions_is_asked_once(
    platform: MemoryPlatform,
    instance: dg.DagsterInstance,
    monkeypatch: pytest.MonkeyPatch,
    status: dg.DagsterRunStatus,
) -> None:
    """Also where all have failed: why is asked of those that answered the measurement at hand."""
    now = datetime(2026, 1, 10, tzinfo=UTC)
    log = ActionLog(platform.lake, instance, actor=REPAIR, now=now)
    scope = Scope(OLD, "milvus")
    faults = [
        Diagnosis("index_diverged", "repair", scope, "differs", (f"e{n}",)) for n in range(20)
    ]
    for found in faults:
        [measured] = found.evaluation_ids
        run = PlannedRun("repair", f"key {measured}", (scope,), (measured,), "differs")
        log.act(run, [ActionDecision(found, "differs", attempt=1)])
        tags = {RUN_KEY_TAG: run.run_key}
        instance.add_run(dg.DagsterRun(job_name="job", tags=tags, status=status))
    asked: list[str] = []

    def count(name: str) -> None:
        ask = getattr(instance, name)

        def counted(*args: Any, **options: Any) -> Any:
            asked.append(name)
            return ask(*args, **options)

        monkeypatch.setattr(instance, name, counted)

    count("get_runs")
    count("all_logs")
    past = ActionLog(platform.lake, instance, actor=REPAIR, now=now).past(faults[3:4])
    failed = status is dg.DagsterRunStatus.FAILURE
    assert [one.outcome for one in past] == ["failed" if failed else "succeeded"] * 20
    assert asked == ["get_runs"] + ["all_logs"] * failed
