"""Rollbacks over two backends: one request, its parts, and kills at every write of it."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from vector_platform.indexes.contract import Generation, IndexUnavailable
from vector_platform.releases.pointer.targets import NothingToRollBackTo
from vector_platform.releases.requests.promotion import promote_model
from vector_platform.releases.requests.rollback import WentBack, go_back
from vector_platform.releases.requests.service import ReleaseService
from vector_platform_tests.releases.deployment import MODELS, Deployment
from vector_platform_tests.tiers import in_turn, sampled

BACKENDS = ("milvus", "pinecone")
# Writes to the lake of a rollback over both: the request, two records of it, and for each of them
# the decision, the move, the end and the row.
WRITES = 11


@pytest.fixture(scope="module")
def moved(tmp_path_factory: pytest.TempPathFactory) -> Deployment:
    made = Deployment(tmp_path_factory.mktemp("moved"))
    for model in MODELS:
        for backend in BACKENDS:
            made.sync(backend).sync(model)
        promote(made, model)
    return made


@pytest.fixture
def world(moved: Deployment, tmp_path: Path) -> Deployment:
    """On both backends the second model has taken the place of the first."""
    return moved.copy(tmp_path)


def services(world: Deployment) -> list[ReleaseService]:
    return [world.service(backend) for backend in BACKENDS]


def promote(world: Deployment, model: str) -> list[str]:
    outcomes = promote_model(
        services(world), model_version=model, candidates=MODELS, actor="ann", reason="test"
    )
    return [outcome.request_id for outcome in outcomes]


def back(world: Deployment, **where: Any) -> list[WentBack]:
    return go_back(services(world), actor="ann", reason="worse answers", **where)


def live(world: Deployment) -> list[str]:
    return [world.pointer(backend).live_generation().generation for backend in BACKENDS]


def moves(world: Deployment) -> list[int]:
    return [len(world.pointer(backend).history()) for backend in BACKENDS]


class Killed(BaseException):
    """The process is gone; nothing may catch this."""


def killed_after(
    monkeypatch: pytest.MonkeyPatch, world: Deployment, writes: int, act: Callable[[], object]
) -> bool:
    """Act, and be killed right after a write to the lake; whether it came to that."""
    left = [writes]

    def dying(write: Callable[..., int]) -> Callable[..., int]:
        def last(*args: Any, **kwargs: Any) -> int:
            left[0] -= 1
            done = write(*args, **kwargs)
            if left[0] == 0:
                raise Killed
            return done

        return last

    with monkeypatch.context() as patched, suppress(Killed):
        for table in (world.lake.decisions, world.lake.release_requests, world.lake.releases):
            patched.setattr(table, "append", dying(table.append))
            patched.setattr(table, "merge", dying(table.merge))
        act()
    return left[0] <= 0


def assert_went_back_once(world: Deployment) -> None:
    assert live(world) == ["g0001", "g0001"]
    assert moves(world) == [3, 3]
    for backend in BACKENDS:
        assert world.target(backend).pointed == world.pointer(backend).live_generation().identity
    parts = [one for one in world.service().store.requests.all() if one.leaves]
    assert {one.state for one in parts} == {"released"}
    assert len({one.whole for one in parts}) == 1


@pytest.mark.parametrize("finish", in_turn("finish", ["the same command", "the sensor"]))
@pytest.mark.parametrize("writes", sampled([1, 4, 5, 7, 9], fast={5}))
def test_a_rollback_killed_at_a_write_is_finished_and_never_turns_forward(
    world: Deployment, monkeypatch: pytest.MonkeyPatch, writes: int, finish: str
) -> None:
    assert killed_after(monkeypatch, world, writes, lambda: back(world))
    if finish == "the sensor":
        for service in services(world):
            service.reconcile_open()
    else:
        back(world)
    assert_went_back_once(world)


@pytest.mark.deep
@pytest.mark.parametrize("finish", ["the same command", "the sensor"])
@pytest.mark.parametrize("writes", range(1, WRITES + 1))
def test_a_rollback_killed_at_any_write_is_finished(
    world: Deployment, monkeypatch: pytest.MonkeyPatch, writes: int, finish: str
) -> None:
    test_a_rollback_killed_at_a_write_is_finished_and_never_turns_forward(
        world, monkeypatch, writes, finish
    )


@pytest.mark.parametrize("writes", sampled([1, 4, 5, 6, 8], fast={5}))
def test_a_release_over_two_backends_killed_at_a_write_is_one_request_that_is_completed(
    world: Deployment, monkeypatch: pytest.MonkeyPatch, writes: int
) -> None:
    for backend in BACKENDS:
        world.sync(backend).build("new.v1")
    assert killed_after(monkeypatch, world, writes, lambda: promote(world, "new.v1"))
    promote(world, "new.v1")
    assert live(world) == ["g0003", "g0003"]
    asked = [one for one in world.service().store.requests.all() if one.generation == "g0003"]
    assert len({one.whole for one in asked}) == 1
    for service in services(world):
        service.reconcile_open()
    states = {one.request_id: one.state for one in world.service().store.requests.all()}
    assert [states[one.request_id] for one in asked] == ["released", "released"]


def test_a_backend_that_is_away_keeps_no_other_one_from_going_back(
    world: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.put("s:late")

    def away(generation: Generation, rows: object, *, fresh: bool = False) -> None:
        raise IndexUnavailable("no answer")

    with monkeypatch.context() as patched:
        patched.setattr(world.target("milvus"), "upsert", away)
        with pytest.raises(IndexUnavailable):
            back(world)
    assert live(world) == ["g0002", "g0001"]
    (waiting,) = world.service().store.open()
    assert waiting.request_id.endswith("/milvus")
    back(world)
    assert_went_back_once(world)


def test_a_rollback_that_is_repeated_changes_nothing(world: Deployment) -> None:
    assert [one.moved for one in back(world)] == [True, True]
    versions = world.lake.releases.version(), world.lake.release_requests.version()
    assert [one.moved for one in back(world)] == [False, False]
    assert (world.lake.releases.version(), world.lake.release_requests.version()) == versions
    assert_went_back_once(world)


def test_a_rollback_goes_to_the_generation_or_before_the_request_that_is_named(
    world: Deployment,
) -> None:
    for backend in BACKENDS:
        world.sync(backend).build("new.v1")
    part, _ = promote(world, "new.v1")
    whole = part.partition("/")[0]
    assert live(world) == ["g0003", "g0003"]
    back(world, before=whole)
    assert live(world) == ["g0002", "g0002"]
    assert [one.moved for one in back(world, before=whole)] == [False, False]
    back(world, to="g0003")
    assert live(world) == ["g0003", "g0003"]
    with pytest.raises(NothingToRollBackTo, match="has never been live"):
        back(world, to="g0009")
    assert live(world) == ["g0003", "g0003"]


def test_a_release_in_between_is_not_taken_back_by_an_older_rollback(
    world: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert killed_after(monkeypatch, world, 1, lambda: back(world))
    for backend in BACKENDS:
        world.sync(backend).build("new.v1")
    promote(world, "new.v1")
    for service in services(world):
        service.reconcile_open()
    assert live(world) == ["g0003", "g0003"]
    parts = [one for one in world.service().store.requests.all() if one.leaves]
    assert {(one.state, one.waits_for) for one in parts} == {
        ("withdrawn", "g0003 has been released since")
    }
