"""Requests from asking to release, on a real lake: gates and approvals."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import numpy as np
import pytest

from vector_platform.indexes.contract import Generation, Hit, Scope
from vector_platform.quality.recall.index_queries import NEW
from vector_platform.releases.evaluation.measuring import change_of
from vector_platform.releases.requests.asking import AlreadyLive
from vector_platform.releases.requests.policy import MayNotDecide
from vector_platform.releases.requests.requests import UnknownRequest
from vector_platform.releases.requests.rollback import go_back
from vector_platform.releases.requests.service import RequestEnded
from vector_platform_tests.lake.building import START, append_vectors, chunk, put
from vector_platform_tests.releases.deployment import MODELS, Deployment
from vector_platform_tests.releases.requests.asking import (
    FROZEN,
    TEAM,
    another_model,
    live,
    rebuilt,
    whats,
)


def test_another_name_is_another_model_although_the_fingerprint_is_the_same(
    world: Deployment,
) -> None:
    known = world.pointer().live_generation()
    (state,) = [s for s in world.sync().states.all() if s.generation == known.generation]
    swapped = replace(another_model(world), fingerprint=state.fingerprint)
    assert change_of(swapped, state) == "model"
    assert change_of(rebuilt(world), state) == "rebuild"


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
    assert reconciled.refused, "nobody's approval would release it"
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

    def forgetful(generation: Generation, vector: Any, *, k: int, scope: Scope) -> list[Hit]:
        hits = search(generation, vector, k=1000, scope=scope)
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
