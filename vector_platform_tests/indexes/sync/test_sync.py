"""What a sync writes, refuses and records."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from vector_platform.indexes.contract import IndexUnavailable
from vector_platform.indexes.plan import DeleteGuard
from vector_platform.lake.snapshots import SnapshotIncomplete
from vector_platform_tests.indexes.synced_world import World, ten_rows
from vector_platform_tests.lake.building import MODEL, chunk, chunks, put


def test_the_first_sync_builds_a_generation_and_proves_it(world: World) -> None:
    world.put(*ten_rows())
    report = world.sync.sync(MODEL)
    assert (report.mode, report.upserted, report.deleted) == ("build", 10, 0)
    assert report.generation.generation == "g0001"
    world.assert_proven()


def test_an_unchanged_lake_writes_nothing_anywhere(world: World) -> None:
    world.start()
    versions = world.versions()
    world.target.fuse.reset()
    report = world.sync.sync(MODEL)
    assert report.mode == "none"
    assert world.target.fuse.writes == []
    assert world.versions() == versions


def test_a_change_writes_only_what_changed(world: World) -> None:
    world.start()
    world.put(
        chunk("s:0", "text 0", tenant="a", attributes={"price": 2}),
        chunk("s:1", "new text", tenant="b"),
        chunk("s:new", "added", tenant="c"),
        delete=("s:2#0", "s:3#0"),
    )
    report = world.sync.sync(MODEL)
    assert (report.mode, report.upserted, report.deleted) == ("changes", 3, 2)
    world.assert_proven()


def test_a_new_vector_that_no_chunk_uses_changes_no_index(world: World) -> None:
    world.start()
    world.put(chunk("s:0", "other", tenant="a"))
    put(world.lake, ten_rows()[0])
    world.target.fuse.reset()
    report = world.sync.sync(MODEL)
    assert (report.upserted, report.deleted) == (0, 0)
    assert world.target.fuse.writes == []
    world.assert_proven()


def test_a_row_that_changes_tenant_is_in_the_new_one_only(world: World) -> None:
    world.start()
    world.put(*(chunk(f"s:{i}", f"text {i}", tenant="z") for i in range(8)))
    report = world.sync.sync(MODEL)
    assert report.mode == "changes" and report.upserted == 8
    world.assert_proven()


def test_the_guard_stops_before_the_first_write(world: World) -> None:
    world.start()
    world.put(chunk("s:new"), delete=tuple(f"s:{i}#0" for i in range(6)))
    before, versions = world.held(), world.versions()
    world.target.fuse.reset()
    with pytest.raises(DeleteGuard, match="6 of 10 rows"):
        world.sync.sync(MODEL)
    assert world.target.fuse.writes == []
    assert world.held() == before
    assert world.versions() == versions
    with pytest.raises(DeleteGuard):
        world.sync.sync(MODEL, allow_delete=5)
    world.sync.sync(MODEL, allow_delete=6)
    world.assert_proven()


def test_the_guard_holds_after_a_crash_too(world: World) -> None:
    world.start()
    world.put(chunk("s:new", "x"))
    world.target.fuse.reset(2)
    with pytest.raises(IndexUnavailable):
        world.sync.sync(MODEL)
    world.put(delete=tuple(f"s:{i}#0" for i in range(9)))
    with pytest.raises(DeleteGuard):
        world.sync.sync(MODEL)
    world.sync.sync(MODEL, allow_delete=9)
    world.assert_proven()


def test_an_incomplete_snapshot_is_refused_before_anything_is_made(world: World) -> None:
    world.put(*ten_rows())
    put(world.lake, chunk("s:late", "not embedded"))
    world.target.fuse.reset()
    with pytest.raises(SnapshotIncomplete):
        world.sync.sync(MODEL)
    assert world.sync.states.all() == []
    assert world.target.fuse.writes == []


def test_an_incomplete_snapshot_leaves_a_proven_index_alone(world: World) -> None:
    world.start()
    put(world.lake, chunk("s:late", "not embedded"), delete=["s:1#0"])
    versions = world.versions()
    world.target.fuse.reset()
    with pytest.raises(SnapshotIncomplete):
        world.sync.sync(MODEL)
    assert world.target.fuse.writes == []
    assert world.versions() == versions


def test_a_gap_in_the_history_compares_in_full(world: World) -> None:
    world.start()
    shutil.rmtree(Path(world.lake.uri) / "chunks")
    world.put(*ten_rows()[2:])
    world.put(chunk("s:2", "changed", tenant="a"))
    report = world.sync.sync(MODEL)
    assert (report.mode, report.upserted, report.deleted) == ("full", 1, 2)
    assert "recreated" in report.reason
    world.assert_proven()


def test_a_table_made_anew_at_the_same_version_is_not_mistaken_for_the_old_one(
    world: World,
) -> None:
    world.start()
    version = world.lake.chunks.version()
    shutil.rmtree(Path(world.lake.uri) / "chunks")
    world.put(chunk("s:other", "other"), *ten_rows()[5:])
    assert world.lake.chunks.version() == version
    assert world.sync.sync(MODEL).mode == "full"
    world.assert_proven()


def test_a_new_generation_leaves_the_old_one_as_it_was(world: World) -> None:
    world.put(*ten_rows())
    first = world.sync.sync(MODEL).generation
    before = dict(world.target.rows(first.identity))
    world.put(chunk("s:0", "changed", tenant="a"))
    second = world.sync.build(MODEL).generation
    assert (first.generation, second.generation) == ("g0001", "g0002")
    assert world.target.rows(first.identity) == before
    world.assert_proven()
    world.sync.drop(first)
    assert [p.generation.name for p in world.target.claims("documents")] == ["g0002"]
    assert [state.generation for state in world.sync.states.present()] == ["g0002"]


def test_a_generation_that_vanished_is_built_again_under_its_name(world: World) -> None:
    world.put(*ten_rows())
    state = world.sync.sync(MODEL).generation
    world.target.vanish(state.identity)
    report = world.sync.sync(MODEL)
    assert (report.mode, report.upserted) == ("full", 10)
    world.assert_proven()


def test_an_emptied_corpus_empties_the_index(world: World) -> None:
    world.start()
    world.lake.chunks.replace(chunks([]))
    with pytest.raises(DeleteGuard):
        world.sync.sync(MODEL)
    world.sync.sync(MODEL, allow_delete=10)
    assert world.held() == {}
    world.assert_proven()
