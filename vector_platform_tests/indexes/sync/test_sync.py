from __future__ import annotations

import copy
import os
import shutil
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from vector_platform.indexes.contract import Generation, IndexUnavailable
from vector_platform.indexes.plan import DeleteGuard
from vector_platform.indexes.proof.row_sample import sample_size
from vector_platform.indexes.proof.verification import IndexDiverged
from vector_platform.indexes.state import GenerationState
from vector_platform.indexes.sync.sync import IndexSync, Progress, SyncInProgress
from vector_platform.lake.lake import Lake
from vector_platform.lake.snapshots import SnapshotIncomplete
from vector_platform_tests.indexes.memory_index import WRITES, MemoryIndex
from vector_platform_tests.lake.building import MODEL, chunk, chunks, embed, open_lake, put
from vector_platform_tests.tiers import sampled


class World:
    """A real lake, an index in memory, and the sync between them."""

    def __init__(self, folder: Path, *, ids_are_global: bool = False) -> None:
        self.folder = folder
        self.lake: Lake = open_lake(folder)
        self.target = MemoryIndex(ids_are_global=ids_are_global)
        self.full_proof_hours = 24.0

    def copy(self, folder: Path) -> World:
        """The same lake and index once more."""
        shutil.copytree(self.folder, folder)
        other = World(folder)
        other.target = copy.deepcopy(self.target)
        other.full_proof_hours = self.full_proof_hours
        return other

    @property
    def sync(self) -> IndexSync:
        return self.sync_of("run")

    def sync_of(
        self,
        run_id: str,
        progress: Progress = lambda line: None,
        wait_seconds: float = 0,
    ) -> IndexSync:
        return IndexSync(
            self.lake,
            self.target,
            index="documents",
            spec="{}",
            max_delete_share=0.5,
            full_proof_hours=self.full_proof_hours,
            lock_dir=self.folder / "locks",
            wait_seconds=wait_seconds,
            run_id=run_id,
            progress=progress,
        )

    def put(self, *rows: dict[str, Any], delete: tuple[str, ...] = ()) -> None:
        put(self.lake, *rows, delete=delete)
        embed(self.lake)

    def held(self) -> dict[tuple[str, str], str]:
        """What the newest generation holds: (tenant, id) -> text."""
        state = self.sync.states.newest(MODEL)
        assert state is not None
        return {key: row["text"] for key, row in self.target.rows(state.identity).items()}

    def wanted(self) -> dict[tuple[str, str], str]:
        rows = self.lake.chunks.read().to_pylist()
        return {(row["tenant"], row["chunk_id"]): row["text"] for row in rows}

    def versions(self) -> dict[str, int]:
        return {table.spec.name: table.version() for table in self.lake.tables()}

    def assert_equal(self) -> GenerationState:
        """The newest generation is recorded as equal to the lake, and is."""
        state = self.sync.states.newest(MODEL)
        assert state is not None and state.status == "proven"
        assert state.snapshot == self.lake.snapshot()
        assert self.held() == self.wanted()
        assert state.rows == len(self.wanted())
        return state

    def assert_recorded(self) -> GenerationState:
        """What is recorded of the newest generation."""
        state = self.sync.states.newest(MODEL)
        assert state is not None
        return state

    def assert_proven(self) -> None:
        assert self.sync.verify(self.assert_equal()).clean


@pytest.fixture(params=[False, True], ids=["ids per tenant", "ids are global"])
def world(request: pytest.FixtureRequest, tmp_path: Path) -> World:
    return World(tmp_path / "world", ids_are_global=request.param)


def ten_rows() -> list[dict[str, Any]]:
    return [chunk(f"s:{i}", f"text {i}", tenant="ab"[i % 2]) for i in range(10)]


def test_the_first_sync_builds_a_generation_and_proves_it(world: World) -> None:
    world.put(*ten_rows())
    report = world.sync.sync(MODEL)
    assert (report.mode, report.upserted, report.deleted) == ("build", 10, 0)
    assert report.generation.generation == "g0001"
    world.assert_proven()


def test_an_unchanged_lake_writes_nothing_anywhere(world: World) -> None:
    world.put(*ten_rows())
    world.sync.sync(MODEL)
    versions = world.versions()
    world.target.fuse.reset()
    report = world.sync.sync(MODEL)
    assert report.mode == "none"
    assert world.target.fuse.writes == []
    assert world.versions() == versions


def test_a_change_writes_only_what_changed(world: World) -> None:
    world.put(*ten_rows())
    world.sync.sync(MODEL)
    world.put(
        chunk("s:0", "text 0", tenant="a", attributes={"price": 2}),
        chunk("s:1", "new text", tenant="b"),
        chunk("s:new", "added", tenant="c"),
        delete=("s:2#0", "s:3#0"),
    )
    report = world.sync.sync(MODEL)
    assert (report.mode, report.upserted, report.deleted) == ("changes", 3, 2)
    world.assert_proven()


def test_a_sync_of_changes_reads_back_what_it_touched(world: World) -> None:
    world.put(*ten_rows())
    world.sync.sync(MODEL)
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


def test_a_new_vector_that_no_chunk_uses_changes_no_index(world: World) -> None:
    world.put(*ten_rows())
    world.sync.sync(MODEL)
    world.put(chunk("s:0", "other", tenant="a"))
    put(world.lake, ten_rows()[0])
    world.target.fuse.reset()
    report = world.sync.sync(MODEL)
    assert (report.upserted, report.deleted) == (0, 0)
    assert world.target.fuse.writes == []
    world.assert_proven()


def test_a_row_that_changes_tenant_is_in_the_new_one_only(world: World) -> None:
    world.put(*ten_rows())
    world.sync.sync(MODEL)
    world.put(*(chunk(f"s:{i}", f"text {i}", tenant="z") for i in range(8)))
    report = world.sync.sync(MODEL)
    assert report.mode == "changes" and report.upserted == 8
    world.assert_proven()


def test_the_guard_stops_before_the_first_write(world: World) -> None:
    world.put(*ten_rows())
    world.sync.sync(MODEL)
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
    world.put(*ten_rows())
    world.sync.sync(MODEL)
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
    world.put(*ten_rows())
    world.sync.sync(MODEL)
    put(world.lake, chunk("s:late", "not embedded"), delete=["s:1#0"])
    versions = world.versions()
    world.target.fuse.reset()
    with pytest.raises(SnapshotIncomplete):
        world.sync.sync(MODEL)
    assert world.target.fuse.writes == []
    assert world.versions() == versions


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


def test_a_gap_in_the_history_compares_in_full(world: World) -> None:
    world.put(*ten_rows())
    world.sync.sync(MODEL)
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
    world.put(*ten_rows())
    world.sync.sync(MODEL)
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
    world.put(*ten_rows())
    world.sync.sync(MODEL)
    world.lake.chunks.replace(chunks([]))
    with pytest.raises(DeleteGuard):
        world.sync.sync(MODEL)
    world.sync.sync(MODEL, allow_delete=10)
    assert world.held() == {}
    world.assert_proven()


# -- damage ---------------------------------------------------------------------------------


def damage(world: World) -> None:
    state = world.sync.states.newest(MODEL)
    assert state is not None
    rows = world.target.rows(state.identity)
    del rows["a", "s:0#0"]
    rows["b", "s:1#0"] = {**rows["b", "s:1#0"], "digest": "0" * 32}
    rows["z", "s:ghost#0"] = {**rows["a", "s:2#0"], "id": "s:ghost#0", "tenant": "z"}
    world.target.damaged(state.identity)


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


def calls_of(world: World, action: Callable[[World], object]) -> list[str]:
    """Calls that an action makes, tried on a copy."""
    trial = world.copy(world.folder.with_name("trial"))
    trial.target.fuse.reset()
    action(trial)
    return trial.target.fuse.calls


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


# -- crashes --------------------------------------------------------------------------------


def built(world: World) -> None:
    world.put(*ten_rows())


def changed(world: World) -> None:
    world.put(*ten_rows())
    world.sync.sync(MODEL)
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
    world.put(*ten_rows())
    world.sync.sync(MODEL)
    shutil.rmtree(Path(world.lake.uri) / "chunks")
    world.put(*ten_rows()[2:], chunk("s:new", tenant="z"))


def damaged(world: World) -> None:
    world.full_proof_hours = 0
    world.put(*ten_rows())
    world.sync.sync(MODEL)
    damage(world)
    world.put(chunk("s:9", "other text", tenant="b"))


@pytest.mark.parametrize(
    "prepare", sampled([built, changed, vanished, recreated, damaged], fast={changed})
)
def test_after_a_crash_at_any_call_one_normal_run_converges(
    tmp_path: Path, prepare: Callable[[World], None]
) -> None:
    prepared = World(tmp_path / "prepared", ids_are_global=prepare in (recreated, damaged))
    prepare(prepared)
    calls = calls_of(prepared, lambda world: world.sync.sync(MODEL))
    crashes = [(number, False) for number in range(1, 1 + len(calls))]
    crashes += [(number, True) for number, name in enumerate(calls, 1) if name in WRITES]
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
