"""Quarantined vectors and an index: refused while missing, rewritten when they are back."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import pytest

from vector_platform.indexes.contract import IndexUnavailable
from vector_platform.lake.snapshots import SnapshotIncomplete
from vector_platform.lake.vector_quarantine import quarantine_runs
from vector_platform_tests.indexes.synced_world import World, ten_rows
from vector_platform_tests.lake.building import (
    MODEL,
    append_vectors,
    chunk,
    embed,
    put,
    register,
    vector_of,
)
from vector_platform_tests.tiers import sampled

BAD = [chunk("s:bad1", "from the wrong model", tenant="a"), chunk("s:bad2", "this too")]


def poison(world: World) -> None:
    """Contents that a swapped model embeds, in a run of its own."""
    put(world.lake, *BAD)
    register(world.lake)
    wrong = {row["content_hash"]: vector_of("another model", row["text"]) for row in BAD}
    append_vectors(world.lake, MODEL, wrong, run_id="bad")


def quarantine(world: World) -> None:
    now = datetime(2026, 1, 2, tzinfo=UTC)
    quarantine_runs(world.lake, MODEL, ["bad"], run_id="q", now=now)


def served(world: World) -> dict[str, np.ndarray]:
    """Vectors of the poisoned rows as the newest generation holds them."""
    state = world.sync.states.newest(MODEL)
    assert state is not None
    stored = world.target.rows(state.identity)
    return {key[1]: row["vector"] for key, row in stored.items() if key[1].startswith("s:bad")}


def assert_right(world: World) -> None:
    found = served(world)
    assert len(found) == len(BAD)
    for row in BAD:
        assert np.array_equal(found[row["chunk_id"]], vector_of(MODEL, row["text"]))
    world.assert_proven()


def test_no_index_takes_a_snapshot_whose_vectors_are_quarantined(world: World) -> None:
    world.start()
    poison(world)
    quarantine(world)
    for verb in (world.sync.sync, world.sync.build):
        with pytest.raises(SnapshotIncomplete, match="2 content"):
            verb(MODEL)
    assert served(world) == {}
    embed(world.lake, run_id="good")
    report = world.sync.sync(MODEL)
    assert (report.mode, report.upserted) == ("changes", 2)
    assert_right(world)


def test_rows_that_hold_a_bad_vector_are_written_again_although_no_digest_differs(
    world: World,
) -> None:
    world.put(*ten_rows())
    poison(world)
    world.sync.sync(MODEL)
    assert np.array_equal(served(world)["s:bad1#0"], vector_of("another model", BAD[0]["text"]))
    quarantine(world)
    with pytest.raises(SnapshotIncomplete):
        world.sync.sync(MODEL)
    embed(world.lake, run_id="good")
    report = world.sync.sync(MODEL)
    assert (report.mode, report.upserted, report.deleted) == ("changes", 2, 0)
    assert_right(world)
    assert world.sync.sync(MODEL).mode == "none"


def test_a_repair_and_a_sync_after_a_crash_rewrite_them_too(world: World) -> None:
    world.put(*ten_rows())
    poison(world)
    state = world.sync.sync(MODEL).generation
    quarantine(world)
    embed(world.lake, run_id="good")
    report = world.sync.repair(state)
    assert (report.mode, report.upserted) == ("full", 2)
    assert_right(world)


@pytest.mark.parametrize("at", sampled([2, 4, 6], fast={4}))
def test_a_rewrite_that_fails_at_any_call_is_made_good_by_the_next_sync(
    world: World, at: int
) -> None:
    world.put(*ten_rows())
    poison(world)
    world.sync.sync(MODEL)
    quarantine(world)
    embed(world.lake, run_id="good")
    world.target.fuse.reset(blow_at=at)
    with pytest.raises(IndexUnavailable):
        world.sync.sync(MODEL)
    world.target.fuse.reset()
    world.sync.sync(MODEL)
    assert_right(world)


def test_a_row_whose_document_went_meanwhile_is_deleted_not_rewritten(world: World) -> None:
    world.put(*ten_rows())
    poison(world)
    world.sync.sync(MODEL)
    quarantine(world)
    put(world.lake, delete=(BAD[0]["chunk_id"],))
    embed(world.lake, run_id="good")
    report = world.sync.sync(MODEL)
    assert (report.upserted, report.deleted) == (1, 1)
    assert set(served(world)) == {"s:bad2#0"}
    world.assert_proven()
