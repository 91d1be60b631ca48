"""Requests whose process dies, and two who decide at once."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest

from vector_platform.releases.requests import store as store_module
from vector_platform.releases.requests.asking import AlreadyLive
from vector_platform_tests.releases.deployment import Deployment
from vector_platform_tests.releases.requests.asking import (
    TEAM,
    another_model,
    live,
    rebuilt,
    whats,
)
from vector_platform_tests.tiers import sampled


class Killed(BaseException):
    """The process is gone; nothing may catch this."""


def killed_after(
    monkeypatch: pytest.MonkeyPatch, world: Deployment, writes: int, act: Callable[[], object]
) -> bool:
    """Act, and be killed right after a write to the lake; True if it ended before that."""
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
    return left[0] > 0


@pytest.mark.parametrize("writes", sampled(range(1, 7), fast={3}))
def test_a_kill_at_any_write_of_a_request_converges_and_releases_once(
    world: Deployment, monkeypatch: pytest.MonkeyPatch, writes: int
) -> None:
    state = rebuilt(world)

    def ask() -> None:
        world.service().release(state, actor="nightly", reason="r", automatic=True)

    killed_after(monkeypatch, world, writes, ask)
    with suppress(AlreadyLive):
        ask()
    world.service().reconcile_open()
    (request,) = world.service().store.requests.all()
    assert request.state == "released" and live(world) == "g0002"
    assert sorted(whats(world)) == [("release", "nightly"), ("request", "nightly")]


@pytest.mark.parametrize("writes", sampled(range(1, 6), fast={3}))
def test_a_kill_at_any_write_of_an_approval_converges_and_releases_once(
    world: Deployment, monkeypatch: pytest.MonkeyPatch, writes: int
) -> None:
    """Every write to the lake, in turn, is the last one of the process that approves."""
    service = world.service(**TEAM)
    asked = service.release(another_model(world), actor="ann", reason="r").request
    survived = killed_after(
        monkeypatch,
        world,
        writes,
        lambda: service.approve(asked.request_id, actor="bob", reason="fine"),
    )
    world.service(**TEAM).approve(asked.request_id, actor="bob", reason="fine")
    (request,) = world.service().store.requests.all()
    assert request.state == "released" and live(world) == "g0002"
    assert world.target().pointed == world.pointer().live_generation().identity
    assert len(world.pointer().history()) == 2
    said = [what for what, _ in whats(world)]
    assert sorted(said) == ["approve", "release", "request"]
    if survived:
        assert writes > 3, "every write of an approval has had its turn"


def test_two_who_approve_at_the_same_moment_release_once(world: Deployment) -> None:
    import threading

    service = world.service(**TEAM)
    asked = service.release(another_model(world), actor="ann", reason="r").request
    barrier = threading.Barrier(2)
    moved: list[bool] = []

    def approve(actor: str) -> None:
        mine = world.service(**TEAM)
        barrier.wait()
        moved.append(mine.approve(asked.request_id, actor=actor, reason="fine").moved)

    threads = [threading.Thread(target=approve, args=(name,)) for name in ("bob", "cat")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(moved) == [False, True]
    assert len(world.pointer().history()) == 2
    assert [what for what, _ in whats(world)].count("release") == 1


def test_somebody_elses_lock_is_waited_for_and_then_named(
    world: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    from vector_platform.indexes.lock import SyncInProgress

    service = world.service()
    monkeypatch.setattr(store_module, "LOCK_SECONDS", 0.05)
    state = rebuilt(world)
    with world.service().store.exclusively(), pytest.raises(SyncInProgress, match="run run "):
        service.request(state, actor="ann", reason="r")
