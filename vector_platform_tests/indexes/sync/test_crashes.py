"""A sync that dies at any call, and the run after it."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from vector_platform.indexes.contract import IndexUnavailable
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
