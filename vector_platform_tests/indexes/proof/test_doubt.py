"""A generation that is known to be broken is not proven, and readers are told before any repair."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import ClassVar

import pyarrow as pa
import pytest

from vector_platform.indexes.contract import Generation, RowKey
from vector_platform.indexes.sync.writing import DeleteDiverged
from vector_platform.lake.lake import Lake
from vector_platform_tests.indexes.memory_index import MemoryIndex
from vector_platform_tests.indexes.synced_world import World, damage
from vector_platform_tests.lake.building import MODEL, chunk

NOW = datetime(2026, 6, 1, tzinfo=UTC)


@pytest.fixture
def world(tmp_path: Path) -> World:
    found = World(tmp_path / "world")
    found.start()
    return found


def test_a_generation_that_differs_is_not_proven_from_that_moment_on(world: World) -> None:
    damage(world)
    proven = world.assert_recorded()
    assert not world.sync.verify(proven).clean
    (state,) = world.sync.states.all()
    assert state.status == "doubted"
    assert state.doubt is not None and "1 missing, 1 stale, 1 orphaned" in state.doubt
    assert (state.snapshot, state.rows) == (proven.snapshot, proven.rows), "the guard needs them"


def test_the_next_sync_compares_all_of_it_and_clears_the_doubt(world: World) -> None:
    damage(world)
    world.sync.verify(world.assert_recorded())
    report = world.sync.sync(MODEL)
    assert (report.mode, report.upserted, report.deleted) == ("full", 2, 1)
    assert "differs from" in report.reason
    assert world.assert_equal().doubt is None
    world.assert_proven()


def test_a_doubt_that_nothing_bears_out_is_cleared_without_writing_a_row(world: World) -> None:
    world.sync.doubt(world.assert_recorded(), "a check found nothing")
    world.target.fuse.reset()
    report = world.sync.sync(MODEL)
    assert (report.mode, report.reason) == ("full", "a check found nothing")
    assert world.target.fuse.writes == ["mark"], "no row is written"
    assert world.assert_equal().doubt is None


def test_what_was_seen_before_a_write_says_nothing_of_what_is_there_now(world: World) -> None:
    seen = world.assert_recorded()
    world.put(chunk("s:1", "new text", tenant="b"))
    world.sync.sync(MODEL)
    world.sync.doubt(seen, "too late")
    assert world.assert_equal().doubt is None


def test_a_difference_from_another_snapshot_is_no_damage(world: World) -> None:
    world.put(chunk("s:1", "new text", tenant="b"))
    state = world.assert_recorded()
    assert not world.sync.verify(state, world.lake.snapshot()).clean
    assert world.assert_recorded().status == "proven"


def test_a_delete_that_takes_more_than_asked_stops_early_and_the_next_sync_restores_it(
    tmp_path: Path,
) -> None:
    class Greedy(MemoryIndex):
        asked: ClassVar[list[int]] = []
        greedy = True

        def delete(self, generation: Generation, rows: list[RowKey]) -> None:  # type: ignore[override]
            self.asked.append(len(rows))
            super().delete(generation, rows)
            if self.greedy:
                self.rows(generation).clear()

    world = World(tmp_path / "world")
    target = world.target = Greedy()
    world.put(*(chunk(f"s:{n}", f"text {n}", tenant="ab"[n % 2]) for n in range(400)))
    world.sync.sync(MODEL)
    world.put(delete=tuple(f"s:{n}#0" for n in range(150)))
    with pytest.raises(DeleteDiverged, match="400 rows are gone where 50 were to be deleted"):
        world.sync.sync(MODEL)
    assert target.asked == [50], "what is left to delete is left alone"
    (state,) = world.sync.states.all()
    assert state.status == "syncing" and state.doubt is not None
    target.greedy = False
    report = world.sync.sync(MODEL)
    assert (report.mode, report.upserted) == ("full", 250)
    assert world.assert_equal().doubt is None
    world.assert_proven()


def test_a_count_that_lags_behind_the_deletes_is_not_taken_for_a_loss(tmp_path: Path) -> None:
    class Lagging(MemoryIndex):
        """Counts for a while what there was, as the statistics of a service may."""

        stale = 0

        def count(self, generation: Generation) -> int:
            self.stale -= 1
            return 200 if self.stale >= 0 else super().count(generation)

    world = World(tmp_path / "world")
    target = world.target = Lagging()
    world.put(*(chunk(f"s:{n}", f"text {n}") for n in range(200)))
    world.sync.sync(MODEL)
    world.put(delete=tuple(f"s:{n}#0" for n in range(120)))
    # The guard's count, that before the first batch and that after it.
    target.stale = 3
    assert world.sync.sync(MODEL, allow_delete=120).deleted == 120


def test_a_delete_that_is_acknowledged_and_dropped_stops_the_sync(tmp_path: Path) -> None:
    class Deaf(MemoryIndex):
        def delete(self, generation: Generation, rows: list[RowKey]) -> None:  # type: ignore[override]
            super().delete(generation, rows[1:])

    world = World(tmp_path / "world")
    world.target = Deaf()
    world.start()
    world.put(delete=("s:0#0", "s:2#0"))
    with pytest.raises(DeleteDiverged, match=r"1 of 2 deleted rows are still there.* a/s:0#0"):
        world.sync.sync(MODEL)
    assert world.sync.states.all()[0].status == "syncing"


def test_a_record_written_before_doubts_existed_reads_as_none(tmp_path: Path) -> None:
    lake = Lake(str(tmp_path / "lake"))
    world = World(tmp_path / "world")
    world.start()
    old = world.lake.index_state.read().drop_columns(["doubt"])
    from deltalake import write_deltalake

    write_deltalake(lake.index_state.uri, pa.table(old))
    world.lake.index_state = lake.index_state
    state = world.assert_recorded()
    assert (state.status, state.doubt) == ("proven", None)
    world.sync.doubt(state, "seen to be broken")
    assert world.sync.states.all()[0].doubt == "seen to be broken"
