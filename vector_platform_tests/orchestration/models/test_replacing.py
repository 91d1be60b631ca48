"""True vectors in the place of aligned ones: when, once, and through the release service.

The lake, the models, the ticks and the Dagster runs are real, the backends are in memory.
"""

from __future__ import annotations

from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from dagster._core.test_utils import freeze_time

from vector_platform.indexes.contract import IndexUnavailable
from vector_platform.orchestration.models.assets import embed
from vector_platform.orchestration.models.jobs import (
    make_alignment,
    put_in_place,
    replace_alignment,
)
from vector_platform.orchestration.models.sensors import build_model_sensors
from vector_platform.orchestration.runs.instance import open_instance
from vector_platform.releases.requests.requests import ReleaseRequest
from vector_platform.settings import FreezeWindow, Releases
from vector_platform_tests.indexes.memory_index import MemoryIndex
from vector_platform_tests.lake import building
from vector_platform_tests.models.words import words_text
from vector_platform_tests.orchestration.aligning import (
    NAME,
    NEW,
    OLD,
    align,
    deployment,
    promote,
    quiet,
    write_weights,
)
from vector_platform_tests.orchestration.harness import NOON, MemoryPlatform
from vector_platform_tests.orchestration.verdicts import BACKENDS

MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return write_weights(tmp_path_factory.mktemp("weights"))


@pytest.fixture
def platform(root: Path, tmp_path: Path, weights: dict[str, Path]) -> MemoryPlatform:
    return deployment(root, tmp_path, weights)


class Replacing:
    """The sensor `replace_when_complete`, ticked by hand; a new one has lost its cursor."""

    def __init__(self, platform: MemoryPlatform) -> None:
        self._platform = platform
        self._cursor: str | None = None
        self._job = replace_alignment
        _, self._sensor = build_model_sensors(platform.settings, self._job)

    def tick(self, *, at: datetime = NOON) -> list[dg.RunRequest]:
        with freeze_time(at):
            context = dg.build_sensor_context(
                cursor=self._cursor, resources={"platform": self._platform}
            )
            data = self._sensor.evaluate_tick(context)
        self._cursor = data.cursor or self._cursor
        return list(data.run_requests or [])

    def start(
        self, request: dg.RunRequest, instance: dg.DagsterInstance | None = None
    ) -> dg.ExecuteInProcessResult:
        return self._job.execute_in_process(
            run_config=request.run_config,
            resources={"platform": self._platform},
            instance=instance,
            raise_on_error=False,
        )


def serve_aligned(platform: MemoryPlatform) -> None:
    """Readers are on the provisional version; the true vectors are complete."""
    align(platform)
    promote(platform, NAME)
    embed(platform, NEW, "run", quiet)


def asked(platform: MemoryPlatform, backend: str) -> ReleaseRequest:
    """The newest release request for the true version."""
    service = platform.release_service(backend, run_id="test")  # type: ignore[arg-type]
    return service.store.requests.all(("model_version", "==", NEW), ("backend", "==", backend))[-1]


def live_models(platform: MemoryPlatform) -> set[str]:
    pointers = [platform.live_pointer(backend) for backend in platform.settings.indexes.backends]
    return {release.model_version for pointer in pointers if (release := pointer.live())}


def test_the_true_version_takes_the_place_when_it_is_complete_and_not_before(
    platform: MemoryPlatform,
) -> None:
    align(platform)
    promote(platform, NAME)
    sensor = Replacing(platform)
    assert sensor.tick() == []
    told = put_in_place(platform, NAME, "run", quiet)
    assert "contents have no vector under new.v1 yet" in told
    assert not platform.settings.models[NAME].retired
    embed(platform, NEW, "run", quiet)
    (request,) = sensor.tick()
    assert sensor.tick() == []
    assert "is retired" in sensor.start(request).output_for_node("replace")
    assert platform.settings.models[NAME].retired
    for backend in BACKENDS:
        live = platform.live_pointer(backend).live()
        assert live is not None and live.model_version == NEW
        states = platform.index_sync(backend, run_id="test").states
        assert states.newest(NAME) is None
        index = platform.target(backend)
        assert isinstance(index, MemoryIndex)
        assert [p.generation.name for p in index.claims("documents")] == [live.generation]
    assert "is retired already" in put_in_place(platform, NAME, "run", quiet)
    assert sensor.tick(at=NOON + HOUR) == []


def test_a_sensor_that_lost_its_cursor_asks_for_the_same_run_and_a_later_content_for_another(
    platform: MemoryPlatform,
) -> None:
    make_alignment(platform, OLD, NEW, "run", quiet)
    embed(platform, NEW, "run", quiet)
    (request,) = Replacing(platform).tick()
    restarted = Replacing(platform)
    (again,) = restarted.tick(at=NOON + 59 * MINUTE)
    assert (again.run_key, again.run_config) == (request.run_key, request.run_config)
    # What was true when it was asked for is not true any more when it runs.
    building.put(platform.lake, building.chunk("guides:new", words_text(5000)))
    assert "stays: 1 contents have no vector" in restarted.start(again).output_for_node("replace")
    assert restarted.tick(at=NOON + 59 * MINUTE) == []
    embed(platform, NEW, "run", quiet)
    (later,) = restarted.tick(at=NOON + 59 * MINUTE)
    assert later.run_key != request.run_key
    assert "is retired" in restarted.start(later).output_for_node("replace")


def test_a_replacement_that_failed_is_asked_for_again_in_the_next_hour(
    platform: MemoryPlatform, monkeypatch: pytest.MonkeyPatch, at_once: None
) -> None:
    monkeypatch.delenv("DAGSTER_HOME", raising=False)
    make_alignment(platform, OLD, NEW, "run", quiet)
    embed(platform, NEW, "run", quiet)
    sensor = Replacing(platform)
    (request,) = sensor.tick()

    def away(*args: Any, **kwargs: Any) -> Any:
        raise IndexUnavailable("no answer")

    with open_instance(platform.settings) as instance, monkeypatch.context() as patched:
        patched.setattr(platform, "release_service", away)
        done = sensor.start(request, instance)
        run = instance.get_run_by_id(done.run_id)
    assert not done.success
    # Dagster tries it again a bounded number of times; when all of them have failed, the sensor.
    assert run is not None and run.tags["dagster/will_retry"] == "true"
    assert sensor.tick(at=NOON + 59 * MINUTE) == []
    (again,) = sensor.tick(at=NOON + HOUR)
    assert again.run_key != request.run_key
    assert "is retired" in sensor.start(again).output_for_node("replace")


@pytest.mark.deep
def test_the_true_version_comes_through_the_release_service_and_waits_there_in_a_freeze(
    platform: MemoryPlatform,
) -> None:
    serve_aligned(platform)
    usual = platform.settings
    freeze = FreezeWindow(name="audit", first_day=date(2020, 1, 1))
    platform.settings = usual.model_copy(update={"releases": Releases(freezes=[freeze])})
    sensor = Replacing(platform)
    (request,) = sensor.tick()
    told = sensor.start(request).output_for_node("replace")
    assert "stays until its place is taken" in told and "'audit'" in told
    assert not platform.settings.models[NAME].retired
    assert live_models(platform) == {NAME}
    for backend in BACKENDS:
        assert asked(platform, backend).requester == "replace_alignment"
    platform.settings = usual
    (again,) = sensor.tick(at=NOON + HOUR)
    assert "is retired" in sensor.start(again).output_for_node("replace")
    for backend in BACKENDS:
        (_, moved) = platform.live_pointer(backend).history()
        assert moved.model_version == NEW and moved.known("request")


@pytest.mark.deep
def test_a_late_approval_retires_the_provisional_version_at_the_next_look_and_a_rejection_never(
    platform: MemoryPlatform,
) -> None:
    serve_aligned(platform)
    releases = Releases(approvers=["ann"])
    platform.settings = platform.settings.model_copy(update={"releases": releases})
    sensor = Replacing(platform)
    (request,) = sensor.tick()
    assert "approval of ann" in sensor.start(request).output_for_node("replace")
    milvus, pinecone = (platform.release_service(backend, run_id="test") for backend in BACKENDS)
    first, second = (asked(platform, backend).request_id for backend in BACKENDS)
    milvus.approve(first, actor="ann", reason="seen")
    pinecone.reject(second, actor="ann", reason="not yet")
    # One backend has moved, so there is something to look at; the other one has not.
    for hour in (0, 1):
        (look,) = sensor.tick(at=NOON + hour * HOUR)
        assert f"{second} ({NEW}" in sensor.start(look).output_for_node("replace")
        assert not platform.settings.models[NAME].retired
        assert live_models(platform) == {NAME, NEW}
    assert asked(platform, "pinecone").request_id == second, "it is not asked for once more"
    # A person asks for it instead.
    state = pinecone.context.sync.states.newest(NEW)
    assert state is not None
    by_hand = pinecone.release(state, actor="bob", reason="it is time")
    pinecone.approve(by_hand.request.request_id, actor="ann", reason="seen")
    (last,) = sensor.tick(at=NOON + HOUR)
    assert "is retired" in sensor.start(last).output_for_node("replace")
    assert live_models(platform) == {NEW}
