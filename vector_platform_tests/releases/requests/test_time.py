"""Requests over time: stale evidence, expiry, freezes, and what was rolled back."""

from __future__ import annotations

from datetime import timedelta

import pytest

from vector_platform.releases.requests.policy import MayNotDecide
from vector_platform.releases.requests.rollback import go_back
from vector_platform.releases.requests.service import RequestEnded
from vector_platform_tests.releases.deployment import Deployment
from vector_platform_tests.releases.requests.asking import (
    FROZEN,
    TEAM,
    another_model,
    live,
    rebuilt,
    whats,
)


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
