"""What a sync proves of an index, and what damage it finds and mends."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from vector_platform.indexes.contract import Generation, IndexUnavailable
from vector_platform.indexes.proof.row_sample import sample_size
from vector_platform.indexes.proof.verification import IndexDiverged
from vector_platform_tests.indexes.memory_index import MemoryIndex
from vector_platform_tests.indexes.synced_world import World, calls_of, damage, ten_rows
from vector_platform_tests.lake.building import MODEL, chunk


def test_a_sync_of_changes_reads_back_what_it_touched(world: World) -> None:
    world.start()
    world.put(
        chunk("s:1", "new text", tenant="b"),
        chunk("s:4", "text 4", tenant="z"),
        chunk("s:new", "added", tenant="c"),
        delete=("s:2#0",),
    )
    world.target.fuse.reset()
    report = world.sync.sync(MODEL)
    proof = report.verification
    assert proof is not None and proof.clean and proof.scope == "changes"
    # Three rows touched, and all of the others, as no tenant has many.
    assert proof.others == 7
    assert (proof.plan.desired, proof.plan.actual, proof.rows_compared) == (10, 10, 10)
    assert not {"tenants", "scan", "keys"} & set(world.target.fuse.calls)
    world.assert_proven()


def test_a_proof_of_changes_sees_a_write_that_was_lost(world: World) -> None:
    world.put(*ten_rows())
    state = world.sync.sync(MODEL).generation
    world.put(chunk("s:1", "new text", tenant="b"), delete=("s:2#0",))
    generation, upsert = state.identity, world.target.upsert

    def lossy(place: Generation, rows: pa.RecordBatch, *, fresh: bool) -> None:
        upsert(place, rows, fresh=fresh)
        world.target.rows(generation).pop(("b", "s:1#0"), None)
        world.target.upsert = upsert  # type: ignore[method-assign]

    world.target.upsert = lossy  # type: ignore[method-assign]
    report = world.sync.sync(MODEL)
    assert report.verification is not None and report.verification.scope == "all"
    assert report.upserted == 2
    world.assert_proven()


def test_damage_elsewhere_is_found_and_mended_by_the_sync_of_any_change(world: World) -> None:
    world.put(*ten_rows())
    state = world.sync.sync(MODEL).generation
    del world.target.rows(state.identity)["a", "s:0#0"]
    world.target.damaged(state.identity)
    world.put(chunk("s:1", "new text", tenant="b"))
    report = world.sync.sync(MODEL)
    assert report.verification is not None and report.verification.scope == "all"
    assert report.upserted == 2
    assert report.generation.fully_proven_at == report.generation.updated_at
    world.assert_proven()


def test_one_row_of_many_that_no_sample_has_is_found_when_a_full_proof_is_due(
    world: World,
) -> None:
    world.put(*(chunk(f"s:{i}", f"text {i}", tenant="a") for i in range(200)))
    state = world.sync.sync(MODEL).generation
    world.put(chunk("s:1", "new text", tenant="a"))
    assert state.snapshot is not None
    snapshot = world.lake.snapshot()
    looked_at = world.lake.sample_keys(
        MODEL,
        snapshot,
        {"a": sample_size(200)},
        besides=pa.table({"id": ["s:1#0"]}),
        seed=f"{snapshot}/run",
    )
    rows = world.target.rows(state.identity)
    missed = min({row_id for _, row_id in rows} - {*looked_at["id"].to_pylist(), "s:1#0"})
    rows["a", missed] = {**rows["a", missed], "digest": "0" * 32}
    world.target.damaged(state.identity)
    report = world.sync.sync(MODEL)
    assert report.verification is not None and report.verification.scope == "changes"
    assert report.generation.fully_proven_at == state.fully_proven_at
    world.full_proof_hours = 0
    world.put(chunk("s:1", "newer text", tenant="a"))
    report = world.sync.sync(MODEL)
    assert report.upserted == 2
    assert report.generation.fully_proven_at == report.generation.updated_at
    world.assert_proven()


def test_verify_finds_every_kind_of_damage_and_repair_rewrites_only_that(world: World) -> None:
    world.put(*ten_rows())
    state = world.sync.sync(MODEL).generation
    damage(world)
    facts = world.sync.verify(state).facts()
    assert (facts["missing"], facts["stale"], facts["orphaned"]) == (1, 1, 1)
    report = world.sync.repair(state)
    assert (report.upserted, report.deleted) == (2, 1)
    world.assert_proven()


def test_a_changed_vector_under_the_right_digest_is_found_and_repaired(world: World) -> None:
    world.put(*ten_rows())
    state = world.sync.sync(MODEL).generation
    rows = world.target.rows(state.identity)
    rows["a", "s:4#0"] = {**rows["a", "s:4#0"], "vector": np.array([1, 0, 0, 0], np.float32)}
    world.target.damaged(state.identity)
    proof = world.sync.verify(state)
    assert not proof.clean and proof.rows_differing == {"s:4#0": "vector"}
    report = world.sync.repair(state)
    assert (report.upserted, report.deleted) == (1, 0)
    world.assert_proven()


def test_a_repair_that_was_cut_short_is_finished_by_the_next_sync(world: World) -> None:
    world.put(*ten_rows())
    state = world.sync.sync(MODEL).generation
    rows = world.target.rows(state.identity)
    rows["a", "s:4#0"] = {**rows["a", "s:4#0"], "vector": np.array([1, 0, 0, 0], np.float32)}
    world.target.damaged(state.identity)
    calls = calls_of(world, lambda trial: trial.sync.repair(state))
    world.target.fuse.reset(1 + calls.index("upsert"))
    with pytest.raises(IndexUnavailable, match="upsert"):
        world.sync.repair(state)
    world.sync.sync(MODEL)
    world.assert_proven()


def test_an_index_that_loses_what_is_written_is_never_recorded_as_proven(world: World) -> None:
    class Leaky(MemoryIndex):
        def upsert(self, generation: Any, rows: pa.RecordBatch, *, fresh: bool = False) -> None:
            super().upsert(generation, rows.slice(1), fresh=fresh)

    world.target = Leaky(ids_are_global=world.target.ids_are_global)
    world.put(*ten_rows())
    with pytest.raises(IndexDiverged, match="after a repair"):
        world.sync.sync(MODEL)
    (state,) = world.sync.states.all()
    assert (state.status, state.snapshot) == ("building", None)
