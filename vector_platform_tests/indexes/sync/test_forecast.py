from __future__ import annotations

from pathlib import Path

import pytest

from vector_platform.lake.snapshots import UnknownModelVersion
from vector_platform_tests.indexes.synced_world import World
from vector_platform_tests.lake.building import MODEL, chunk


@pytest.fixture
def world(tmp_path: Path) -> World:
    world = World(tmp_path)
    world.put(*(chunk(f"s:{n}", f"text {n}", tenant=f"t{n % 3}") for n in range(200)))
    return world


def test_a_forecast_writes_nothing(world: World) -> None:
    versions = world.versions()
    world.sync.forecast(MODEL)
    world.sync.sync(MODEL)
    world.put(chunk("s:new", "new"), delete=("s:0#0",))
    after, done = world.versions(), list(world.target.fuse.writes)
    world.sync.forecast(MODEL)
    assert world.versions() == after
    assert world.target.fuse.writes == done
    assert versions["index_state"] == -1


def test_a_build_is_forecast_by_tenant(world: World) -> None:
    found = world.sync.forecast(MODEL)
    assert (found.mode, found.generation) == ("build", None)
    assert found.upserts == {"t0": 67, "t1": 67, "t2": 66}
    assert found.deletes == {}
    assert found.bytes > 200 * 4 * 4
    assert found.seconds is None, "there is no history to estimate from"


def test_what_is_forecast_is_what_the_sync_then_does(world: World) -> None:
    world.sync.sync(MODEL)
    world.put(
        chunk("s:1", "another text", tenant="t1"),
        chunk("s:2", "text 2", tenant="t0"),
        chunk("s:new", "new", tenant="t2"),
        delete=("s:3#0",),
    )
    found = world.sync.forecast(MODEL)
    assert found.upserts == {"t0": 1, "t1": 1, "t2": 1}
    assert found.deletes == {"t0": 1, "t2": 1}, "one is gone, one has moved to another tenant"
    report = world.sync.sync(MODEL)
    assert report.mode == found.mode == "changes"
    assert report.upserted == sum(found.upserts.values())
    assert report.deleted == sum(found.deletes.values())
    assert found.seconds is not None and found.seconds >= 0


def test_nothing_is_forecast_when_nothing_has_changed(world: World) -> None:
    world.sync.sync(MODEL)
    found = world.sync.forecast(MODEL)
    assert (found.mode, found.upserts, found.deletes, found.requests) == ("none", {}, {}, 0)


def test_a_generation_that_is_gone_is_forecast_as_written_again(world: World) -> None:
    world.sync.sync(MODEL)
    state = world.sync.states.newest(MODEL)
    assert state is not None
    world.target.vanish(state.identity)
    found = world.sync.forecast(MODEL)
    assert (found.mode, sum(found.upserts.values())) == ("full", 200)
    assert not world.target.exists(state.identity)


def test_a_model_that_was_never_embedded_is_forecast_by_its_dimension(world: World) -> None:
    with pytest.raises(UnknownModelVersion):
        world.sync.forecast("other.v1")
    narrow = world.sync.forecast("other.v1", dimension=10)
    wide = world.sync.forecast("other.v1", dimension=110)
    assert (narrow.mode, narrow.generation) == ("build", None)
    assert narrow.upserts == {"t0": 67, "t1": 67, "t2": 66}
    assert wide.bytes - narrow.bytes == 200 * 100 * 4


def test_a_sync_reports_what_was_forecast_beside_what_it_did(world: World) -> None:
    build = world.sync.sync(MODEL)
    assert build.forecast is not None
    assert sum(build.forecast.upserts.values()) == build.upserted == 200
    world.put(chunk("s:1", "another text", tenant="t1"))
    report = world.sync.sync(MODEL)
    assert report.forecast is not None
    assert report.forecast.facts()["tenants"] == {"t1": {"write": 1, "delete": 0}}
    again = world.sync.sync(MODEL)
    assert again.forecast is not None and again.forecast.upserts == {}
