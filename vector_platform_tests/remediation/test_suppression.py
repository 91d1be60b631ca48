"""What release requests hold back: the newest for a fault and backend, and an open one first."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from vector_platform.releases.requests.policy import State
from vector_platform.releases.requests.requests import ReleaseRequest
from vector_platform.remediation.faults import Scope
from vector_platform.remediation.suppression import suppressed_by
from vector_platform_tests.orchestration.harness import NOON

HOUR = timedelta(hours=1)
PLACE = Scope("words.v1")


def request(state: State, *, hours: int = 0, backend: str = "milvus") -> ReleaseRequest:
    """A request that was asked for at noon, and reached a state some hours later."""
    asked = ReleaseRequest.new(
        backend=backend,
        index="documents",
        generation=f"g{hours:04}",
        model_version="words.v2",
        requester="sensor",
        automatic=True,
        reason="test",
        run_id="test",
        requested_at=NOON,
    )
    return replace(asked, state=state, waits_for="an approval", updated_at=NOON + hours * HOUR)


def holds(*requests: ReleaseRequest, at: datetime = NOON + 10 * HOUR) -> dict[Scope, str]:
    return suppressed_by([(one, (PLACE,)) for one in requests], cooldown=5 * HOUR, now=at)


@pytest.mark.parametrize("state", ["requested", "approved"])
def test_an_open_request_holds_for_as_long_as_it_waits_and_says_what_for(state: State) -> None:
    asked = request(state)
    assert holds(asked, at=NOON + 9_000 * HOUR) == {
        PLACE: f"release request {asked.request_id} waits: an approval"
    }


@pytest.mark.parametrize("state", ["released", "withdrawn", "expired"])
def test_a_request_that_ended_without_a_rejection_holds_nothing(state: State) -> None:
    assert holds(request(state, hours=10)) == {}


def test_a_rejection_holds_for_a_cooldown_and_not_longer() -> None:
    rejected = request("rejected", hours=10)
    within = NOON + 15 * HOUR - timedelta(seconds=1)
    assert "was rejected less than 5:00:00 ago" in holds(rejected, at=within)[PLACE]
    assert holds(rejected, at=NOON + 15 * HOUR) == {}


def test_the_newest_request_counts_on_each_backend_and_any_backend_holds() -> None:
    rejected, released = request("rejected", hours=8), request("released", hours=9)
    assert holds(rejected, released) == {}
    elsewhere = replace(released, backend="pinecone")
    assert PLACE in holds(rejected, elsewhere)


def test_an_open_request_holds_although_a_later_one_has_ended() -> None:
    waits, released = request("requested"), request("released", hours=9)
    assert "waits" in holds(waits, released)[PLACE]


def test_a_request_holds_all_that_it_answers_and_nothing_else() -> None:
    places = (Scope("words.v1"), Scope("words.v1.qa-1"))
    found = suppressed_by([(request("requested"), places)], cooldown=HOUR, now=NOON)
    assert found.keys() == set(places)
    assert suppressed_by([(request("requested"), ())], cooldown=HOUR, now=NOON) == {}
