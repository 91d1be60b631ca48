from __future__ import annotations

import threading
from datetime import timedelta
from pathlib import Path

import pyarrow as pa
import pytest

from vector_platform.indexes.contract import Mirrored
from vector_platform.lake.contract import RELEASES
from vector_platform.lake.storage.commits import CommitConflict
from vector_platform.orchestration.indexes.assets import alias_metadata
from vector_platform.releases.pointer.live import NothingLive, NotPromotable, Release
from vector_platform_tests.lake.building import START
from vector_platform_tests.releases.deployment import Deployment


@pytest.fixture
def world(twelve: Deployment, tmp_path: Path) -> Deployment:
    return twelve.copy(tmp_path)


def promote(world: Deployment, generation: str) -> Release:
    state = next(s for s in world.sync().states.all() if s.generation == generation)
    return world.pointer().promote(
        state, actor="ann", reason="because", evidence={"n": 1}, run_id="run"
    )


def test_nothing_is_live_before_the_first_promotion(world: Deployment) -> None:
    assert world.pointer().live() is None
    with pytest.raises(NothingLive, match=r"no generation of documents yet: `vector-platform run`"):
        world.pointer().live_generation()
    world.sync().sync("old.v1")
    with pytest.raises(NothingLive, match="none is live yet: `vector-platform release promote old"):
        world.pointer().live_generation()


def test_the_newest_promotion_is_live_and_every_move_is_kept(world: Deployment) -> None:
    world.sync().sync("old.v1")
    world.sync().sync("new.v1")
    promote(world, "g0001")
    promote(world, "g0002")
    assert world.pointer().live_generation().model_version == "new.v1"
    moves = [(r.sequence, r.generation, r.previous_generation) for r in world.pointer().history()]
    assert moves == [(1, "g0001", None), (2, "g0002", "g0001")]
    assert world.pointer().history()[1].evidence == '{"n":1}'


def test_how_far_the_aliases_follow_is_told_to_whoever_mirrors(
    world: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.sync().sync("old.v1")
    promote(world, "g0001")
    target, pointer = world.target("milvus"), world.pointer()
    assert pointer.mirrored is None
    monkeypatch.setattr(target, "point", lambda generation: Mirrored(1000, without=4000))
    assert pointer.mirror(target) == pointer.mirrored == Mirrored(1000, without=4000)
    assert alias_metadata(pointer.mirrored) == {"aliases": 1000, "tenants_without_alias": 4000}
    assert alias_metadata(None) == {}


def test_promoting_what_is_live_moves_nothing(world: Deployment) -> None:
    world.sync().sync("old.v1")
    promote(world, "g0001")
    version = world.lake.releases.version()
    assert promote(world, "g0001").sequence == 1
    assert world.lake.releases.version() == version


def test_a_generation_that_is_not_proven_cannot_become_live(world: Deployment) -> None:
    world.sync().sync("old.v1")
    state = world.sync().states.all()[0]
    world.sync().states.mark_syncing(state, state.stamps, run_id="run", now=state.updated_at)
    with pytest.raises(NotPromotable, match="syncing"):
        promote(world, "g0001")
    assert world.pointer().live() is None


def test_backends_have_pointers_of_their_own(world: Deployment) -> None:
    world.sync("milvus").sync("old.v1")
    promote(world, "g0001")
    assert world.pointer("pinecone").live() is None


def test_the_live_generation_follows_the_lake_while_a_newer_one_waits(world: Deployment) -> None:
    def following() -> list[str]:
        return [state.generation for state in world.pointer().following("old.v1")]

    assert following() == []
    world.sync().build("old.v1")
    assert following() == ["g0001"]
    promote(world, "g0001")
    assert following() == ["g0001"]
    world.sync().build("old.v1")
    assert following() == ["g0001", "g0002"]
    world.sync().sync("new.v1")
    promote(world, "g0003")
    assert following() == ["g0002"]


def test_of_two_promotions_at_once_one_wins_and_the_other_is_told(world: Deployment) -> None:
    world.sync().sync("old.v1")
    world.sync().sync("new.v1")
    barrier = threading.Barrier(2)
    outcomes: list[str] = []

    def move(generation: str) -> None:
        barrier.wait()
        try:
            promote(world, generation)
            outcomes.append("moved")
        except CommitConflict:
            outcomes.append("told")

    threads = [threading.Thread(target=move, args=(name,)) for name in ("g0001", "g0002")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    sequences = [release.sequence for release in world.pointer().history()]
    assert sequences == list(range(1, outcomes.count("moved") + 1))
    assert outcomes.count("moved") >= 1


def test_the_live_the_previous_and_each_models_newest_are_kept(world: Deployment) -> None:
    for _ in range(4):
        world.sync().build("old.v1")
    world.sync().sync("new.v1")
    promote(world, "g0001")
    promote(world, "g0002")
    kept = {"g0001", "g0002", "g0004", "g0005"}
    everything = {state.generation for state in world.sync().states.present()}
    assert {state.generation for state in world.pointer().collectable()} == everything - kept


def five_promoted(world: Deployment) -> None:
    for number in range(1, 6):
        world.sync().build("old.v1")
        promote(world, f"g000{number}")


def collectable(world: Deployment, **keep: int) -> list[str]:
    return [state.generation for state in world.pointer(**keep).collectable()]


def test_as_many_earlier_generations_are_kept_as_the_policy_says(world: Deployment) -> None:
    five_promoted(world)
    assert collectable(world) == ["g0001", "g0002", "g0003"]
    assert collectable(world, keep_generations=3) == ["g0001"]
    promote(world, "g0002")  # live again: the others move up
    assert collectable(world, keep_generations=2) == ["g0001", "g0003"]


def test_a_generation_is_kept_for_days_after_it_was_last_live(world: Deployment) -> None:
    five_promoted(world)
    assert collectable(world, keep_days=3) == []
    for release in world.pointer().history():
        # Live from day 5, 4, 3, 2 before today, and since day 1.
        backdated = vars(release) | {
            "released_at": release.released_at - timedelta(days=6 - release.sequence)
        }
        world.lake.releases.merge(pa.Table.from_pylist([backdated], schema=RELEASES.schema))
    assert collectable(world, keep_days=5) == []
    assert collectable(world, keep_days=3) == ["g0001", "g0002"]
    assert collectable(world, keep_days=1) == ["g0001", "g0002", "g0003"]


def test_a_half_built_generation_is_kept_until_a_newer_one_exists(world: Deployment) -> None:
    world.sync().build("old.v1")
    promote(world, "g0001")
    world.sync().build("new.v1")
    model = world.lake.model_version("new.v1")
    world.sync().states.begin(model, spec="{}", run_id="killed", now=START)
    assert collectable(world) == [], "the half-built one may be continued, g0002 released"
    world.sync().build("new.v1")
    assert collectable(world) == ["g0002", "g0003"]
