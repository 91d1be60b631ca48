from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from vector_platform.indexes.contract import Generation, IndexUnavailable, Mirrored, NotOurs
from vector_platform.indexes.lock import SyncInProgress
from vector_platform.indexes.state import GenerationState
from vector_platform.releases.pointer.cutover import Cutover, ReleaseShrinks
from vector_platform.releases.pointer.following import sync_followers
from vector_platform.releases.pointer.live import Release
from vector_platform.releases.pointer.targets import NothingToRollBackTo
from vector_platform.releases.requests.promotion import NothingToPromote, Outcome, promote_model
from vector_platform.releases.requests.rollback import go_back
from vector_platform_tests.releases.deployment import MODELS, Deployment
from vector_platform_tests.tiers import in_turn

WORSE, BETTER = [0.4, 0.5] * 30, [0.6, 0.7] * 30


@pytest.fixture
def world(twelve: Deployment, tmp_path: Path) -> Deployment:
    return twelve.copy(tmp_path)


def promote(world: Deployment, model: str | None = None, *, allow_shrink: bool = False) -> Outcome:
    (outcome,) = promote_model(
        [world.service()],
        model_version=model,
        candidates=MODELS,
        actor="ann",
        reason="test",
        overrides={"shrink": "test"} if allow_shrink else {},
    )
    return outcome


COMMON: dict[str, Any] = {"actor": "ann", "reason": "worse answers", "run_id": "run"}


def rollback(world: Deployment, *, allow_shrink: bool = False) -> Release:
    go_back([world.service()], actor="ann", reason="worse answers", allow_shrink=allow_shrink)
    release = world.pointer().live()
    assert release is not None
    return release


def follow(world: Deployment, model: str, *, allow_delete: int = 0) -> None:
    sync_followers(world.sync(), world.pointer(), model, allow_delete=allow_delete)


def delete(world: Deployment, *numbers: int) -> None:
    world.put(delete=tuple(f"s:{number}" for number in numbers))


def test_without_an_evaluation_nothing_is_chosen(world: Deployment) -> None:
    world.sync().sync("old.v1")
    with pytest.raises(NothingToPromote, match="quality/retrieval"):
        promote(world)


def test_the_first_promotion_takes_the_best_model(world: Deployment) -> None:
    for model, scores in zip(MODELS, (WORSE, BETTER), strict=True):
        world.sync().sync(model)
        world.evaluate(model, *scores)
    outcome = promote(world)
    assert (outcome.model_version, outcome.moved) == ("new.v1", True)


def test_a_better_model_replaces_the_live_one(world: Deployment) -> None:
    for model in MODELS:
        world.sync().sync(model)
    world.evaluate("old.v1", *WORSE)
    promote(world, "old.v1")
    world.evaluate("new.v1", *BETTER)
    outcome = promote(world)
    assert outcome.moved and world.pointer().live_generation().model_version == "new.v1"
    assert "better" in outcome.why


def test_a_model_that_was_judged_otherwise_is_not_better_for_it(world: Deployment) -> None:
    for model in MODELS:
        world.sync().sync(model)
    world.evaluate("old.v1", *WORSE)
    promote(world, "old.v1")
    world.evaluate("new.v1", *BETTER, judged="an answer less")
    outcome = promote(world)
    assert outcome.model_version == "old.v1" and not outcome.moved
    assert "no golden query was judged alike for both" in outcome.why


def test_a_model_that_is_ahead_by_chance_does_not(world: Deployment) -> None:
    for model in MODELS:
        world.sync().sync(model)
    noisy = [0.1, 0.9] * 30
    world.evaluate("old.v1", *noisy)
    world.evaluate("new.v1", *noisy[1:], 0.11)
    promote(world, "old.v1")
    outcome = promote(world)
    assert not outcome.moved
    assert world.pointer().live_generation().model_version == "old.v1"


def test_only_the_newest_evaluation_of_a_model_counts(world: Deployment) -> None:
    for model in MODELS:
        world.sync().sync(model)
    world.evaluate("old.v1", *WORSE)
    world.evaluate("new.v1", *BETTER, round_number=1)
    world.evaluate("new.v1", *[score / 2 for score in WORSE], round_number=2)
    assert promote(world).model_version == "old.v1"


def test_a_model_without_a_generation_cannot_be_promoted(world: Deployment) -> None:
    with pytest.raises(NothingToPromote, match="materialise its index"):
        promote(world, "new.v1")


def test_a_release_never_takes_readers_back_in_time(world: Deployment) -> None:
    world.sync().sync("old.v1")
    world.put("s:new", delete=("s:0",))
    promote(world, "old.v1")
    assert world.served() == {row["chunk_id"] for row in world.lake.chunks.read().to_pylist()}


def test_a_rollback_brings_back_the_previous_generation_without_what_was_deleted(
    world: Deployment,
) -> None:
    for model in MODELS:
        world.sync().sync(model)
        promote(world, model)
    world.put("s:late", delete=("s:1",))
    world.sync().sync("new.v1")
    assert rollback(world).model_version == "old.v1"
    assert "s:1#0" not in world.served()
    assert "s:late#0" in world.served()


def test_a_rollback_needs_something_to_go_back_to(world: Deployment) -> None:
    world.sync().sync("old.v1")
    promote(world, "old.v1")
    with pytest.raises(NothingToRollBackTo):
        rollback(world)


def test_a_release_collects_the_generations_nobody_needs(world: Deployment) -> None:
    world.sync().sync("old.v1")
    promote(world, "old.v1")
    for _ in range(3):
        world.sync().build("old.v1")
        promote(world, "old.v1")
    present = [state.generation for state in world.sync().states.present()]
    assert present == ["g0003", "g0004"]
    assert [p.generation.name for p in world.target().claims("documents")] == present


def test_a_rebuild_from_an_emptied_lake_never_reaches_readers_unasked(world: Deployment) -> None:
    world.sync().sync("old.v1")
    promote(world, "old.v1")
    world.put(delete=tuple(f"s:{number}" for number in range(12)))
    world.sync().build("old.v1")
    with pytest.raises(ReleaseShrinks, match="--allow-shrink"):
        promote(world, "old.v1")
    assert len(world.served()) == 12
    assert promote(world, "old.v1", allow_shrink=True).moved
    assert world.served() == set()


def test_a_release_of_what_was_built_before_an_erasure_does_not_bring_it_back(
    world: Deployment,
) -> None:
    world.sync().sync("old.v1")
    promote(world, "old.v1")
    built = world.sync().build("old.v1").generation
    delete(world, 1)
    follow(world, "old.v1")
    world.service().context.cutover.move(built, evidence={}, **COMMON)
    assert world.pointer().live_generation().generation == built.generation
    assert world.served() == {f"s:{number}#0" for number in range(12) if number != 1}


def test_a_live_generation_follows_the_lake_while_a_newer_one_waits(world: Deployment) -> None:
    world.sync().sync("old.v1")
    promote(world, "old.v1")
    world.sync().build("old.v1")
    delete(world, 1)
    follow(world, "old.v1")
    assert len(world.served()) == 11
    snapshots = {state.snapshot for state in world.sync().states.present()}
    assert snapshots == {world.lake.snapshot()}


def test_a_rollback_to_what_is_far_behind_is_let_through(world: Deployment) -> None:
    for model in MODELS:
        world.sync().sync(model)
        promote(world, model)
    delete(world, *range(8))
    follow(world, "new.v1", allow_delete=8)
    assert rollback(world).generation == "g0001"
    assert world.served() == {f"s:{number}#0" for number in range(8, 12)}


def test_a_rollback_that_would_empty_what_readers_see_is_refused(world: Deployment) -> None:
    for model in MODELS:
        world.sync().sync(model)
        promote(world, model)
    delete(world, *range(12))
    with pytest.raises(ReleaseShrinks, match="--allow-shrink"):
        rollback(world)
    assert world.pointer().live_generation().model_version == "new.v1"
    assert len(world.served()) == 12
    present = world.sync().states.present()
    assert [state.rows for state in present] == [12] * len(MODELS), "nothing was deleted"
    assert rollback(world, allow_shrink=True).generation == "g0001"
    assert world.served() == set()


def test_no_generation_goes_live_while_somebody_writes_it(world: Deployment) -> None:
    for model in MODELS:
        world.sync().sync(model)
        promote(world, model)
    moves = len(world.pointer().history())
    world.wait_seconds = 0
    with world.sync().locks.writing("g0001").held():
        with pytest.raises(SyncInProgress, match="run run"):
            rollback(world)
        with pytest.raises(SyncInProgress):
            promote(world, "old.v1")
    assert len(world.pointer().history()) == moves
    assert rollback(world).generation == "g0001"


def test_a_rollback_waits_for_no_build_and_no_sync_of_what_is_live(world: Deployment) -> None:
    for model in MODELS:
        world.sync().sync(model)
        promote(world, model)
    world.wait_seconds = 0
    with ExitStack() as others:
        for name in ("g0002", "g0003"):
            others.enter_context(world.sync().locks.writing(name).held())
        assert rollback(world).generation == "g0001"
    assert world.target().pointed == world.pointer().live_generation().identity


@pytest.mark.parametrize(
    "command", in_turn("command", ["rollback", "promote", "reconcile", "sync"])
)
def test_a_mirror_that_was_left_behind_is_mended_by_whatever_comes_next(
    world: Deployment, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    for model in MODELS:
        world.sync().sync(model)
        promote(world, model)
    target = world.target()

    def away(generation: Generation) -> None:
        raise IndexUnavailable("the alias cannot be moved now")

    with monkeypatch.context() as patched:
        patched.setattr(target, "point", away)
        assert rollback(world).generation == "g0001"
    live = world.pointer().live_generation()
    assert target.mirrored(live.identity).behind, "the alias still says g0002"
    if command == "rollback":
        assert rollback(world) == world.pointer().history()[2], "it has not turned forward again"
    elif command == "promote":
        assert not promote(world, "old.v1").moved
    elif command == "reconcile":
        (request,) = world.service().store.of("g0001")[1:]
        assert not world.service().reconcile(request.request_id).moved
    else:
        world.service().context.cutover.tidy_up()
    assert target.mirrored(live.identity).behind == ()
    assert len(world.pointer().history()) == 3


def test_a_release_over_an_index_of_another_history_is_an_error_and_no_quiet_success(
    world: Deployment,
) -> None:
    """What is live already needs no move: the refusal must not pass for its being in order."""
    world.sync().sync("old.v1")
    promote(world, "old.v1")
    world.target().mark(world.pointer().live_generation().identity, "another hand")
    with pytest.raises(NotOurs, match=r"last written towards hand.*index adopt"):
        promote(world, "old.v1")
    with pytest.raises(NotOurs, match="last written towards hand"):
        world.service().reconcile_open()


def test_an_index_of_another_history_keeps_no_other_backend_from_its_release(
    world: Deployment,
) -> None:
    for backend in ("milvus", "pinecone"):
        world.sync(backend).sync("old.v1")
    promote(world, "old.v1")
    world.target("milvus").mark(world.pointer().live_generation().identity, "another hand")
    with pytest.raises(NotOurs, match="last written towards hand"):
        promote_model(
            [world.service("milvus"), world.service("pinecone")],
            model_version="old.v1",
            candidates=MODELS,
            actor="ann",
            reason="test",
        )
    assert world.pointer("pinecone").live_generation().model_version == "old.v1"


def test_an_alias_that_somebody_else_holds_stops_no_release(
    world: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.sync().sync("old.v1")
    promote(world, "old.v1")

    def held(generation: Generation) -> Mirrored:
        raise NotOurs("the alias stands for something else")

    monkeypatch.setattr(world.target(), "point", held)
    world.sync().sync("new.v1")
    assert promote(world, "new.v1").moved
    assert not promote(world, "new.v1").moved


def test_every_release_command_says_how_many_tenants_have_no_alias(world: Deployment) -> None:
    world.target().without_alias = 4000
    told = "; 4000 tenants have no alias for readers outside"
    for model in MODELS:
        world.sync().sync(model)
        assert promote(world, model).describe().endswith(told)
    assert promote(world, "new.v1").describe().endswith(told), "what is live already says so, too"
    (back,) = go_back([world.service()], actor="ann", reason="worse answers")
    assert back.moved and back.describe().endswith(told)
    assert back.facts()["mirrored"]["without"] == 4000
    asked = world.service(approvers=["bob"]).release(
        world.sync().states.all()[-1], actor="ann", reason="once more"
    )
    reconciled = world.service(approvers=["bob"]).approve(
        asked.request.request_id, actor="bob", reason="seen"
    )
    assert reconciled.moved and reconciled.describe().endswith(told)


def test_what_is_erased_while_a_generation_is_released_does_not_come_back(
    world: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody locks the live generation: it loses a row between catching up and the move."""
    for model in MODELS:
        world.sync().sync(model)
        promote(world, model)
    catch_up, erased = Cutover.catch_up, list[str]()

    def meanwhile(*args: Any, **options: Any) -> GenerationState:
        state = catch_up(*args, **options)
        # The second time is the last before the move.
        erased.append("s:1#0")
        if len(erased) == 2:
            delete(world, 1)
            world.sync().sync("new.v1", generation="g0002")
            assert "s:1#0" not in world.served()
        return state

    monkeypatch.setattr(Cutover, "catch_up", meanwhile)
    assert rollback(world).generation == "g0001"
    assert len(erased) == 3, "it has caught up once more"
    assert "s:1#0" not in world.served()
