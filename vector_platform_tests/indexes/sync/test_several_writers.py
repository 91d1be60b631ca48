"""Syncs beside each other: one waits for another of its generation, and for no other."""

from __future__ import annotations

import os
import threading
from typing import Any

import pytest

from vector_platform import progress
from vector_platform.indexes.lock import SyncInProgress
from vector_platform_tests.indexes.synced_world import World, ten_rows
from vector_platform_tests.lake.building import MODEL


@pytest.fixture(autouse=True)
def every_batch_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """A sync says how far it is after each batch: that is when another one comes."""
    monkeypatch.setattr(progress, "EVERY_SECONDS", 0.0)


def test_a_second_sync_is_refused_and_told_who_is_at_it_when_it_may_not_wait(world: World) -> None:
    world.put(*ten_rows())
    seen: list[str] = []

    def second(line: str) -> None:
        with pytest.raises(SyncInProgress, match=f"run first .*{os.getpid()}"):
            world.sync_of("second").sync(MODEL)
        seen.append(line)

    world.sync_of("first", second).sync(MODEL)
    assert seen
    world.assert_proven()


def test_a_second_sync_waits_for_the_first_and_finds_nothing_left_to_do(world: World) -> None:
    world.put(*ten_rows())
    waiting, told = threading.Event(), list[str]()

    def told_to_wait(line: str) -> None:
        told.append(line)
        waiting.set()

    def wait(line: str) -> None:
        if not threads:
            second = world.sync_of("second", told_to_wait, wait_seconds=60)
            threads.append(threading.Thread(target=lambda: done.append(second.sync(MODEL))))
            threads[0].start()
            assert waiting.wait(60)

    threads, done = list[threading.Thread](), list[Any]()
    world.sync_of("first", wait).sync(MODEL)
    threads[0].join()
    assert [report.mode for report in done] == ["none"]
    assert "waiting for milvus documents g0001" in told[0] and "run first" in told[0]
    assert [state.generation for state in world.sync.states.all()] == ["g0001"]
    world.assert_proven()


def test_two_generations_are_built_at_once(world: World) -> None:
    world.put(*ten_rows())
    built: list[str] = []

    def beside(line: str) -> None:
        if not built:
            built.append("")
            built[0] = world.sync_of("second").build(MODEL).generation.generation

    report = world.sync_of("first", beside).build(MODEL)
    assert (report.generation.generation, built) == ("g0001", ["g0002"])
    assert [state.status for state in world.sync.states.all()] == ["proven", "proven"]
    world.assert_proven()
