"""Requests from asking to release, on a real lake: approvals, staleness, freezes, crashes."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from vector_platform.indexes.contract import Generation, Hit
from vector_platform.indexes.state import GenerationState
from vector_platform.quality.recall.index_queries import NEW
from vector_platform.releases.evaluation.measuring import change_of
from vector_platform.releases.requests import store as store_module
from vector_platform.releases.requests.asking import AlreadyLive
from vector_platform.releases.requests.policy import MayNotDecide
from vector_platform.releases.requests.requests import UnknownRequest
from vector_platform.releases.requests.rollback import go_back
from vector_platform.releases.requests.service import RequestEnded
from vector_platform_tests.lake.building import START, append_vectors, chunk, put
from vector_platform_tests.releases.deployment import MODELS, Deployment
from vector_platform_tests.tiers import sampled

TEAM: dict[str, Any] = {"approvers": ["ann", "bob", "cat"]}
FROZEN: dict[str, Any] = {"freezes": [{"name": "audit", "first_day": "2020-01-01"}]}


@pytest.fixture
def world(tmp_path: Path) -> Deployment:
    """`old.v1` is live, and a rebuild of it is ready."""
    made = Deployment(tmp_path)
    state = made.sync().sync("old.v1").generation
    made.pointer().promote(state, actor="ann", reason="first", evidence={}, run_id="run")
    return made


def rebuilt(world: Deployment) -> GenerationState:
    return world.sync().build("old.v1").generation


def another_model(world: Deployment, quality: float = 0.02) -> GenerationState:
    """A generation of `new.v1` that answers better or worse than the live model."""
    state = world.sync().sync("new.v1").generation
    world.evaluate("old.v1", *[0.5, 0.52] * 200)
    world.evaluate("new.v1", *[0.5 + quality, 0.52 + quality] * 200)
    return state


def whats(world: Deployment) -> list[tuple[str, str]]:
    return [(d.what, d.actor) for d in world.service().store.decisions.about()]


def live(world: Deployment) -> str:
    return world.pointer().live_generation().generation


def test_another_name_is_another_model_although_the_fingerprint_is_the_same(
    world: Deployment,
) -> None:
    known = world.pointer().live_generation()
    (state,) = [s for s in world.sync().states.all() if s.generation == known.generation]
    swapped = replace(another_model(world), fingerprint=state.fingerprint)
    assert change_of(swapped, state) == "model"
    assert change_of(rebuilt(world), state) == "rebuild"


# -- without approvers ----------------------------------------------------------------------


def test_a_rebuild_whose_gates_pass_is_released_at_once(world: Deployment) -> None:
    reconciled = world.service().release(
        rebuilt(world), actor="nightly", reason="r", automatic=True
    )
    assert reconciled.moved and reconciled.report is not None
    found = reconciled.report.evidence.index_recall
    assert found is not None and found.recall.mean == 1.0
    assert live(world) == "g0002"
    assert whats(world) == [("request", "nightly"), ("release", "nightly")]
    (released,) = world.service().store.requests.all()
    assert (released.state, released.waits_for) == ("released", "")


def test_every_decision_is_kept_with_its_evidence_and_what_changed(world: Deployment) -> None:
    world.service().release(rebuilt(world), actor="nightly", reason="drift")
    asked, released = world.service().store.decisions.about()
    assert (asked.before, asked.after, asked.why) == ("g0001", "g0002", "drift")
    assert (released.before, released.after) == ("g0001", "g0002")
    (evaluation,) = world.lake.evaluations.read(
        where=[("evaluation_id", "in", list(released.evidence))]
    ).to_pylist()
    assert (evaluation["kind"], evaluation["value"]) == ("gates", 1.0)


def test_an_index_that_lost_a_row_is_not_released(world: Deployment) -> None:
    state = rebuilt(world)
    rows = world.target().rows(state.identity)
    rows.pop(next(iter(rows)))
    world.target().damaged(state.identity)
    reconciled = world.service().release(state, actor="nightly", reason="r")
    assert not reconciled.moved and "verify fails" in reconciled.request.waits_for
    assert live(world) == "g0001"


def test_an_index_that_misses_what_came_since_its_build_is_not_released(
    world: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.put(*(f"s:old{number}" for number in range(300)))
    new = [chunk(f"s:new{number}", f"new {number}") for number in range(40)]
    put(world.lake, *new)
    # A topic of its own, so that its rows are each other's neighbours.
    topic = np.eye(4)[0] + 0.05 * np.random.default_rng(0).normal(size=(40, 4))
    topic = (topic / np.linalg.norm(topic, axis=1, keepdims=True)).astype(np.float32)
    for model in MODELS:
        vectors = {row["content_hash"]: vector for row, vector in zip(new, topic, strict=True)}
        append_vectors(world.lake, model, vectors, run_id="late", day=2)
    state, world.built_at = rebuilt(world), START + timedelta(days=1)
    search = world.target().search

    def forgetful(generation: Generation, vector: Any, *, k: int, tenant: str | None) -> list[Hit]:
        hits = search(generation, vector, k=1000, tenant=tenant)
        lost = {f"s:new{number}" for number in range(0, 40, 2)}
        return [hit for hit in hits if hit.doc_id not in lost][:k]

    monkeypatch.setattr(world.target(), "search", forgetful)
    reconciled = world.service().release(state, actor="nightly", reason="r")
    assert not reconciled.moved and live(world) == "g0001"
    assert f"recall fails: below 0.9 on {NEW}" in reconciled.request.waits_for
    monkeypatch.undo()
    world.put("s:another")
    # The live generation holds a few rows and this one hundreds, so latency may say what it likes.
    report = world.service().reconcile(reconciled.request.request_id).report
    assert report is not None
    assert {gate.name: gate.outcome for gate in report.gates}["recall"] == "pass"


def test_a_worse_model_is_not_released_by_anybody(world: Deployment) -> None:
    state = another_model(world, quality=-0.1)
    reconciled = world.service(**TEAM).release(state, actor="dan", reason="r")
    assert "quality fails" in reconciled.request.waits_for
    for actor in ("ann", "bob"):
        reconciled = world.service(**TEAM).approve(
            reconciled.request.request_id, actor=actor, reason="I like it"
        )
    assert not reconciled.moved and live(world) == "g0001"


def test_a_better_model_goes_live_by_a_person_and_not_by_a_sensor_alone(world: Deployment) -> None:
    state = another_model(world)
    reconciled = world.service().release(state, actor="retrain", reason="r", automatic=True)
    assert reconciled.report is not None
    assert {gate.outcome for gate in reconciled.report.gates} == {"pass"}
    assert not reconciled.moved and reconciled.request.state == "requested"
    assert reconciled.request.waits_for == "it waits for 1 approval of anybody but who asked"
    with pytest.raises(MayNotDecide):
        world.service().approve(reconciled.request.request_id, actor="retrain", reason="I made it")
    assert not world.service().reconcile(reconciled.request.request_id).moved
    reconciled = world.service().approve(
        reconciled.request.request_id, actor="ann", reason="it reads well"
    )
    assert reconciled.moved and live(world) == "g0002"


def test_a_person_who_asks_for_a_better_model_is_its_approval(world: Deployment) -> None:
    state = another_model(world)
    assert world.service().release(state, actor="ann", reason="r").moved
    assert live(world) == "g0002"


def test_a_model_that_was_never_scored_waits_for_a_person(world: Deployment) -> None:
    state = world.sync().sync("new.v1").generation
    reconciled = world.service().release(state, actor="retrain", reason="r", automatic=True)
    assert "quality is undecided" in reconciled.request.waits_for
    reconciled = world.service().approve(
        reconciled.request.request_id, actor="ann", reason="I looked"
    )
    assert reconciled.moved and live(world) == "g0002"


def test_a_model_is_compared_only_when_both_were_judged_alike(world: Deployment) -> None:
    state = another_model(world)
    world.evaluate("new.v1", *[0.9, 0.92] * 200, round_number=2, judged="an answer less")
    reconciled = world.service().release(state, actor="ann", reason="r")
    assert not reconciled.moved and "quality is undecided" in reconciled.request.waits_for
    world.evaluate("old.v1", *[0.85, 0.87] * 200, round_number=3, judged="an answer less")
    world.now += timedelta(days=2)  # The evidence is too old, and measured again.
    assert world.service().reconcile(reconciled.request.request_id).moved


def test_asking_twice_is_one_request_and_a_newer_generation_supersedes_it(
    world: Deployment,
) -> None:
    service = world.service(**FROZEN)
    first = service.request(rebuilt(world), actor="nightly", reason="r")
    again = service.request(service.context.sync.states.present()[-1], actor="nightly", reason="r")
    assert again.request_id == first.request_id
    second = service.request(rebuilt(world), actor="nightly", reason="r")
    states = {one.request_id: one.state for one in service.store.requests.all()}
    assert states == {first.request_id: "withdrawn", second.request_id: "requested"}


def test_what_is_live_needs_no_release(world: Deployment) -> None:
    with pytest.raises(AlreadyLive):
        world.service().request(world.pointer().live_generation(), actor="ann", reason="r")


# -- approvals ------------------------------------------------------------------------------


def test_a_new_model_waits_for_named_people_and_never_for_its_requester(
    world: Deployment,
) -> None:
    service = world.service(**TEAM, approvals=2)
    asked = service.release(another_model(world), actor="ann", reason="r").request
    assert "2 approvals of ann, bob, cat" in asked.waits_for
    with pytest.raises(MayNotDecide, match="nobody approves their own"):
        service.approve(asked.request_id, actor="ann", reason="r")
    with pytest.raises(MayNotDecide, match="not one of the approvers"):
        service.approve(asked.request_id, actor="dan", reason="r")
    for _ in range(2):
        assert not service.approve(asked.request_id, actor="bob", reason="fine").moved
    assert live(world) == "g0001"
    assert service.approve(asked.request_id, actor="cat", reason="fine").moved
    assert live(world) == "g0002"
    assert [actor for what, actor in whats(world) if what == "approve"] == ["bob", "cat"]


def test_approving_again_releases_nothing_again_even_after_a_rollback(world: Deployment) -> None:
    service = world.service(**TEAM)
    asked = service.release(another_model(world), actor="ann", reason="r").request
    assert service.approve(asked.request_id, actor="bob", reason="fine").moved
    go_back([service], actor="cat", reason="complaints")
    assert not service.approve(asked.request_id, actor="cat", reason="late").moved
    assert live(world) == "g0001"
    assert len(world.pointer().history()) == 3


def test_a_rejected_request_stays_rejected(world: Deployment) -> None:
    service = world.service(**TEAM)
    asked = service.release(another_model(world), actor="ann", reason="r").request
    rejected = service.reject(asked.request_id, actor="bob", reason="not now")
    assert (rejected.request.state, rejected.request.waits_for) == ("rejected", "not now")
    with pytest.raises(RequestEnded, match="rejected"):
        service.approve(asked.request_id, actor="cat", reason="fine")
    assert not service.reconcile(asked.request_id).moved
    assert live(world) == "g0001"


def test_the_requester_may_withdraw(world: Deployment) -> None:
    service = world.service(**TEAM)
    asked = service.release(another_model(world), actor="dan", reason="r").request
    assert service.reject(asked.request_id, actor="dan", reason="oops").request.state == "withdrawn"
    with pytest.raises(UnknownRequest, match="release requests"):
        service.reconcile("r-nonsense")


# -- time -----------------------------------------------------------------------------------


def test_evidence_gone_stale_is_measured_again_before_the_cut_over(world: Deployment) -> None:
    service = world.service(**TEAM)
    asked = service.release(another_model(world), actor="ann", reason="r").request
    world.put("s:late", delete=("s:0",))
    world.evaluate("old.v1", *[0.5, 0.52] * 200, round_number=2)
    world.evaluate("new.v1", *[0.6, 0.62] * 200, round_number=2)
    reconciled = service.approve(asked.request_id, actor="bob", reason="fine")
    assert reconciled.moved
    assert reconciled.request.evidence_id != asked.evidence_id
    assert {"s:late#0"} <= world.served() and "s:0#0" not in world.served()


def test_an_approval_does_not_outlive_what_it_was_given_to(world: Deployment) -> None:
    service = world.service(**TEAM, approvals=2)
    asked = service.release(another_model(world), actor="dan", reason="r").request
    service.approve(asked.request_id, actor="ann", reason="fine")
    world.put("s:late")  # nobody has scored the models on this snapshot
    reconciled = service.approve(asked.request_id, actor="bob", reason="fine")
    assert not reconciled.moved
    assert "quality is undecided" in reconciled.request.waits_for
    assert "2 approvals" in reconciled.request.waits_for
    assert ("reopen", "platform") in whats(world)


def test_old_evidence_is_not_trusted(world: Deployment) -> None:
    service = world.service(**TEAM, evidence_hours=1)
    asked = service.release(another_model(world), actor="ann", reason="r").request
    world.now += timedelta(hours=2)
    reconciled = service.approve(asked.request_id, actor="bob", reason="fine")
    assert reconciled.moved and reconciled.request.evidence_id != asked.evidence_id


def test_a_request_expires(world: Deployment) -> None:
    service = world.service(**TEAM, request_days=2)
    asked = service.release(another_model(world), actor="ann", reason="r").request
    world.now += timedelta(days=3)
    assert [one.request.state for one in service.reconcile_open()] == ["expired"]
    with pytest.raises(RequestEnded, match="expired"):
        service.approve(asked.request_id, actor="bob", reason="fine")


def test_a_freeze_holds_a_release_until_it_ends(world: Deployment) -> None:
    held = world.service(**FROZEN).release(rebuilt(world), actor="nightly", reason="r")
    assert not held.moved and "'audit'" in held.request.waits_for
    (reconciled,) = world.service().reconcile_open()
    assert reconciled.moved and reconciled.request.request_id == held.request.request_id


def test_a_freeze_is_overridden_with_a_reason_that_is_kept(world: Deployment) -> None:
    reconciled = world.service(**FROZEN).release(
        rebuilt(world), actor="ann", reason="r", overrides={"freeze": "it leaks"}
    )
    assert reconciled.moved
    (kept,) = [d for d in world.service().store.decisions.about() if d.what == "override"]
    assert (kept.actor, kept.after, kept.why) == ("ann", "freeze", "it leaks")


def test_with_approvers_a_freeze_is_for_another_approver(world: Deployment) -> None:
    service = world.service(**TEAM, **FROZEN)
    asked = service.release(rebuilt(world), actor="ann", reason="r").request
    for nobody in ("ann", "dan"):
        with pytest.raises(MayNotDecide):
            service.override(asked.request_id, "freeze", actor=nobody, reason="r")
    service.override(asked.request_id, "freeze", actor="bob", reason="it leaks")
    assert service.reconcile(asked.request_id).moved


# -- going back -----------------------------------------------------------------------------


def test_what_was_rolled_back_is_not_released_again_by_a_sensor(world: Deployment) -> None:
    state = rebuilt(world)
    world.service().release(state, actor="nightly", reason="r", automatic=True)
    go_back([world.service()], actor="ann", reason="worse answers")
    refused = world.service().release(state, actor="nightly", reason="again", automatic=True)
    assert not refused.moved and refused.request.state == "rejected"
    assert "rolled back (worse answers)" in refused.request.waits_for
    once_more = world.service().release(state, actor="nightly", reason="again", automatic=True)
    assert once_more.request.request_id == refused.request.request_id
    assert live(world) == "g0001"
    assert world.service().release(state, actor="ann", reason="it was the network").moved
    assert live(world) == "g0002"


def test_a_rollback_is_recorded_and_asks_no_gate(world: Deployment) -> None:
    world.service().release(rebuilt(world), actor="nightly", reason="r")
    go_back([world.service(**TEAM, **FROZEN)], actor="dan", reason="complaints")
    (last,) = world.service().store.decisions.about(what="rollback")
    assert (last.what, last.actor, last.before, last.after) == (
        "rollback",
        "dan",
        "g0002",
        "g0001",
    )
    assert live(world) == "g0001"


# -- crashes --------------------------------------------------------------------------------


class Killed(BaseException):
    """The process is gone; nothing may catch this."""


def killed_after(
    monkeypatch: pytest.MonkeyPatch, world: Deployment, writes: int, act: Callable[[], object]
) -> bool:
    """Act, and be killed right after a write to the lake; True if it ended before that."""
    left = [writes]

    def dying(write: Callable[..., int]) -> Callable[..., int]:
        def last(*args: Any, **kwargs: Any) -> int:
            left[0] -= 1
            done = write(*args, **kwargs)
            if left[0] == 0:
                raise Killed
            return done

        return last

    with monkeypatch.context() as patched, suppress(Killed):
        for table in (world.lake.decisions, world.lake.release_requests, world.lake.releases):
            patched.setattr(table, "append", dying(table.append))
            patched.setattr(table, "merge", dying(table.merge))
        act()
    return left[0] > 0


@pytest.mark.parametrize("writes", sampled(range(1, 7), fast={3}))
def test_a_kill_at_any_write_of_a_request_converges_and_releases_once(
    world: Deployment, monkeypatch: pytest.MonkeyPatch, writes: int
) -> None:
    state = rebuilt(world)

    def ask() -> None:
        world.service().release(state, actor="nightly", reason="r", automatic=True)

    killed_after(monkeypatch, world, writes, ask)
    with suppress(AlreadyLive):
        ask()
    world.service().reconcile_open()
    (request,) = world.service().store.requests.all()
    assert request.state == "released" and live(world) == "g0002"
    assert sorted(whats(world)) == [("release", "nightly"), ("request", "nightly")]


@pytest.mark.parametrize("writes", sampled(range(1, 6), fast={3}))
def test_a_kill_at_any_write_of_an_approval_converges_and_releases_once(
    world: Deployment, monkeypatch: pytest.MonkeyPatch, writes: int
) -> None:
    """Every write to the lake, in turn, is the last one of the process that approves."""
    service = world.service(**TEAM)
    asked = service.release(another_model(world), actor="ann", reason="r").request
    survived = killed_after(
        monkeypatch,
        world,
        writes,
        lambda: service.approve(asked.request_id, actor="bob", reason="fine"),
    )
    world.service(**TEAM).approve(asked.request_id, actor="bob", reason="fine")
    (request,) = world.service().store.requests.all()
    assert request.state == "released" and live(world) == "g0002"
    assert world.target().pointed == world.pointer().live_generation().identity
    assert len(world.pointer().history()) == 2
    said = [what for what, _ in whats(world)]
    assert sorted(said) == ["approve", "release", "request"]
    if survived:
        assert writes > 3, "every write of an approval has had its turn"


def test_two_who_approve_at_the_same_moment_release_once(world: Deployment) -> None:
    import threading

    service = world.service(**TEAM)
    asked = service.release(another_model(world), actor="ann", reason="r").request
    barrier = threading.Barrier(2)
    moved: list[bool] = []

    def approve(actor: str) -> None:
        mine = world.service(**TEAM)
        barrier.wait()
        moved.append(mine.approve(asked.request_id, actor=actor, reason="fine").moved)

    threads = [threading.Thread(target=approve, args=(name,)) for name in ("bob", "cat")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(moved) == [False, True]
    assert len(world.pointer().history()) == 2
    assert [what for what, _ in whats(world)].count("release") == 1


def test_somebody_elses_lock_is_waited_for_and_then_named(
    world: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    from vector_platform.indexes.lock import SyncInProgress

    service = world.service()
    monkeypatch.setattr(store_module, "LOCK_SECONDS", 0.05)
    state = rebuilt(world)
    with world.service().store.exclusively(), pytest.raises(SyncInProgress, match="run run "):
        service.request(state, actor="ann", reason="r")
