"""A sync that dies at any call, and the run after it."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from vector_platform.indexes.contract import IndexUnavailable, NotOurs
from vector_platform.indexes.ownership.claims import EARLIER
from vector_platform_tests.indexes.memory_index import WRITES
from vector_platform_tests.indexes.synced_world import World, calls_of, damage, ten_rows
from vector_platform_tests.lake.building import MODEL, chunk
from vector_platform_tests.tiers import sampled


def built(world: World) -> None:
    world.put(*ten_rows())


def changed(world: World) -> None:
    world.start()
    world.put(
        chunk("s:0", "new text", tenant="a"),
        chunk("s:1", "text 1", tenant="z"),
        chunk("s:new", "added", tenant="c"),
        delete=("s:2#0", "s:4#0", "s:5#0"),
    )


def vanished(world: World) -> None:
    world.put(*ten_rows())
    world.target.vanish(world.sync.sync(MODEL).generation.identity)


def recreated(world: World) -> None:
    world.start()
    shutil.rmtree(Path(world.lake.uri) / "chunks")
    world.put(*ten_rows()[2:], chunk("s:new", tenant="z"))


def damaged(world: World) -> None:
    world.full_proof_hours = 0
    world.start()
    damage(world)
    world.put(chunk("s:9", "other text", tenant="b"))


# How a world is prepared, and every how manyth call is tried.
SAMPLE = (changed, 4)
ALL = [(prepare, 1) for prepare in (built, changed, vanished, recreated, damaged)]


@pytest.mark.parametrize(("prepare", "every"), sampled([SAMPLE, *ALL], fast=[SAMPLE]))
def test_after_a_crash_at_any_call_one_normal_run_converges(
    tmp_path: Path, prepare: Callable[[World], None], every: int
) -> None:
    prepared = World(tmp_path / "prepared", ids_are_global=prepare in (recreated, damaged))
    prepare(prepared)
    calls = calls_of(prepared, lambda world: world.sync.sync(MODEL))
    crashes = [(number, False) for number in range(1, 1 + len(calls))]
    crashes += [(number, True) for number, name in enumerate(calls, 1) if name in WRITES]
    crashes = crashes[::every]
    crashed = 0
    for number, applied in crashes:
        world = prepared.copy(tmp_path / f"{number}-{applied}")
        world.target.fuse.reset(number, applied=applied)
        try:
            world.sync.sync(MODEL)
        except IndexUnavailable:
            crashed += 1
        world.target.fuse.reset()
        world.sync.sync(MODEL)
        world.assert_equal()
    # How rows fall into batches, and so the number of calls, may differ by one or two.
    assert crashed >= len(crashes) - 4


def bears(world: World, stamp: str) -> None:
    """The server came back with a stamp that it had before."""
    world.target.mark(world.assert_recorded().identity, stamp)


def test_a_server_that_comes_back_with_an_older_stamp_is_still_ours(tmp_path: Path) -> None:
    """It has acknowledged the newer one before it died."""
    world = World(tmp_path / "world")
    world.start()
    *_, before, after = world.assert_recorded().stamps
    world.put(chunk("s:new", "added"))
    calls = calls_of(world, lambda world: world.sync.sync(MODEL))
    for number in (n for n, name in enumerate(calls, 1) if name in WRITES):
        for stamp in (before, after):
            tried = world.copy(tmp_path / f"{number}-{stamp[:8]}")
            tried.target.fuse.reset(number, applied=False)
            with suppress(IndexUnavailable):
                tried.sync.sync(MODEL)
            tried.target.fuse.reset()
            if tried.assert_recorded().status != "proven":
                bears(tried, stamp)
            tried.sync.sync(MODEL)
            tried.assert_proven()


def test_a_server_that_has_lost_whole_sessions_is_compared_in_full(tmp_path: Path) -> None:
    world = World(tmp_path / "world")
    world.start()
    first = world.assert_recorded()
    held = dict(world.target.rows(first.identity))
    for number in range(3):
        world.put(chunk(f"s:{number}", f"new {number}", tenant="ab"[number % 2]))
        world.sync.sync(MODEL)
    rows = world.target.rows(first.identity)
    rows.clear()
    rows.update(held)
    world.target.damaged(first.identity)
    bears(world, first.stamps[-1])
    report = world.sync.sync(MODEL)
    assert (report.mode, report.upserted) == ("full", 3)
    assert "has lost what came after" in report.reason
    world.assert_proven()


def test_a_stamp_of_long_ago_is_of_another_history(tmp_path: Path) -> None:
    world = World(tmp_path / "world")
    world.start()
    old = world.assert_recorded().stamps[-1]
    for number in range(6):
        world.put(chunk("s:0", f"text of round {number}", tenant="a"))
        world.sync.sync(MODEL)
    assert len(world.assert_recorded().stamps) <= EARLIER + 3
    bears(world, old)
    with pytest.raises(NotOurs, match="restored from a backup"):
        world.sync.sync(MODEL)
