from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from deltalake import write_deltalake

from vector_platform.indexes.contract import IndexUnavailable
from vector_platform.indexes.rejected import RejectedRows
from vector_platform.indexes.state import GenerationState
from vector_platform_tests.indexes.synced_world import World
from vector_platform_tests.lake.building import MODEL, chunk

BAD = "what no index can hold"


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> World:
    world = World(tmp_path_factory.mktemp("prepared"))
    world.target.refuses = {BAD: "longer than the limit"}
    world.put(*(chunk(f"s:{number}", f"text {number}") for number in range(9)))
    world.put(chunk("s:bad", BAD))
    return world


@pytest.fixture
def world(prepared: World, tmp_path: Path) -> World:
    return prepared.copy(tmp_path / "world")


def newest(world: World) -> GenerationState:
    state = world.sync.states.newest(MODEL)
    assert state is not None
    return state


def refused(world: World) -> dict[str, str]:
    return {row["id"]: row["reason"] for row in RejectedRows(world.lake, newest(world)).rows()}


def test_one_bad_row_goes_to_the_dead_letter_table_and_the_rest_lands(world: World) -> None:
    report = world.sync.sync(MODEL)
    assert report.generation.status == "proven"
    assert report.generation.rows == report.upserted == 9
    assert report.verification is not None and report.verification.clean
    assert report.verification.refused == 1
    assert refused(world) == {"s:bad#0": "longer than the limit"}


def test_a_row_that_is_refused_is_not_tried_again_while_nothing_changes(world: World) -> None:
    world.sync.sync(MODEL)
    versions = world.versions()
    world.target.fuse.reset()
    assert world.sync.sync(MODEL).mode == "none"
    assert world.target.fuse.writes == []
    world.put(chunk("s:1", "changed"))
    assert world.sync.sync(MODEL).upserted == 1
    assert refused(world) == {"s:bad#0": "longer than the limit"}
    assert world.versions()["rejected_rows"] == versions["rejected_rows"]


def test_a_mended_row_lands_and_leaves_the_table_by_itself(world: World) -> None:
    world.sync.sync(MODEL)
    world.put(chunk("s:bad", "short enough"))
    report = world.sync.sync(MODEL)
    assert report.mode == "changes" and report.upserted == 1
    assert refused(world) == {}
    assert world.held() == world.wanted()


def test_a_row_refused_for_another_content_is_recorded_with_the_new_reason(world: World) -> None:
    world.sync.sync(MODEL)
    world.target.refuses["also bad"] = "another limit"
    world.put(chunk("s:bad", "also bad"))
    assert world.sync.sync(MODEL).generation.status == "proven"
    assert refused(world) == {"s:bad#0": "another limit"}


def test_a_refused_row_that_the_lake_drops_leaves_the_table(world: World) -> None:
    world.sync.sync(MODEL)
    world.put(delete=("s:bad#0",))
    assert world.sync.sync(MODEL).generation.status == "proven"
    assert refused(world) == {}
    assert world.held() == world.wanted()


def test_a_refused_row_that_moves_to_another_tenant_is_refused_there(world: World) -> None:
    world.sync.sync(MODEL)
    world.put(chunk("s:bad", BAD, tenant="other"))
    world.sync.sync(MODEL)
    (row,) = RejectedRows(world.lake, newest(world)).rows()
    assert (row["id"], row["tenant"]) == ("s:bad#0", "other")


def test_a_repair_tries_refused_rows_again(world: World) -> None:
    state = world.sync.sync(MODEL).generation
    world.target.refuses.clear()
    assert world.sync.repair(state).upserted == 1
    assert refused(world) == {}
    assert world.held() == world.wanted()


def test_a_row_that_goes_missing_is_not_excused_by_another_that_was_refused(world: World) -> None:
    state = world.sync.sync(MODEL).generation
    del world.target.rows(state.identity)["acme", "s:3#0"]
    world.target.damaged(state.identity)
    proof = world.sync.verify(state)
    assert not proof.clean
    assert (proof.plan.missing, proof.refused) == (1, 1)


@pytest.mark.parametrize("call", range(1, 8))
def test_a_crash_around_a_refusal_converges_on_the_next_run(world: World, call: int) -> None:
    world.target.fuse.reset(call)
    try:
        world.sync.sync(MODEL)
    except IndexUnavailable:
        world.target.fuse.reset()
        world.sync.sync(MODEL)
    assert newest(world).status == "proven"
    assert set(refused(world)) == {"s:bad#0"}
    assert len(world.held()) == 9


def test_a_table_without_the_origins_of_its_rows_is_read_and_gains_them(world: World) -> None:
    """An installation from before `source` and `uri` were kept."""
    world.sync.sync(MODEL)
    table = world.lake.rejected_rows
    old = table.read().drop_columns(["source", "uri"])
    shutil.rmtree(table.uri)
    write_deltalake(table.uri, old, schema_mode="overwrite", mode="overwrite")
    assert refused(world) == {"s:bad#0": "longer than the limit"}
    world.put(chunk("s:worse", BAD))
    world.sync.sync(MODEL)
    assert set(refused(world)) == {"s:bad#0", "s:worse#0"}
    assert set(table.read().column_names) == set(table.spec.schema.names)
