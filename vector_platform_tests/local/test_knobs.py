"""The knobs: faults, torn connections, rate limits and delays, each where it was asked for."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from pinecone import Pinecone

from vector_platform.local.pinecone_server import PineconeServer
from vector_platform_tests.local.conftest import API_KEY, document, nearest

HEADERS = {"Api-Key": API_KEY}
UPSERT = "POST /i/documents/namespaces/t/documents/upsert"


@pytest.fixture
def knobs(server: PineconeServer) -> Iterator[Any]:
    url = f"{server.url}/_local/knobs"

    def turn(**settings: Any) -> dict[str, Any]:
        answer = httpx.put(url, json=settings, headers=HEADERS)
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    yield turn
    assert httpx.delete(url, headers=HEADERS).json()["faults"] == []


@pytest.fixture
def documents(client: Pinecone, index: Any) -> Iterator[httpx.Client]:
    host = client.indexes.describe("documents").host
    with httpx.Client(base_url=f"{host}/namespaces/t/documents", headers=HEADERS) as http:
        yield http


def upsert(http: httpx.Client, *names: str) -> httpx.Response:
    return http.post("/upsert", json={"documents": [document(name) for name in names]})


def fetched(http: httpx.Client, name: str) -> bool:
    return name in http.post("/fetch", json={"ids": [name]}).json()["documents"]


def found(http: httpx.Client) -> tuple[list[str], int]:
    body = {"top_k": 10, "score_by": nearest([1, 0, 0, 0])}
    answer = http.post("/search", json=body)
    ids = [match["_id"] for match in answer.json()["matches"]]
    return ids, int(answer.headers["x-pinecone-max-indexed-lsn"])


def test_a_fault_answers_as_told_as_often_as_told_and_writes_nothing(
    documents: httpx.Client, knobs: Any
) -> None:
    knobs(faults=[{"match": UPSERT, "status": 503, "retry_after": 2, "skip": 1, "times": 2}])
    answers = [upsert(documents, name) for name in "abcd"]
    assert [answer.status_code for answer in answers] == [202, 503, 503, 202]
    assert answers[1].headers["Retry-After"] == "2"
    assert answers[1].json()["error"]["code"] == "SERVICE_UNAVAILABLE"
    assert [fetched(documents, name) for name in "abcd"] == [True, False, False, True]


def test_a_fault_after_the_write_hides_that_it_was_applied(
    documents: httpx.Client, knobs: Any
) -> None:
    knobs(faults=[{"match": UPSERT, "stage": "after", "status": 500, "times": 1}])
    assert upsert(documents, "a").status_code == 500
    assert fetched(documents, "a")


@pytest.mark.parametrize("tear", ["before_headers", "in_body"])
@pytest.mark.parametrize(("stage", "applied"), [("before", False), ("after", True)])
def test_a_torn_connection_breaks_before_or_after_the_write_is_applied(
    documents: httpx.Client, knobs: Any, tear: str, stage: str, applied: bool
) -> None:
    knobs(faults=[{"match": UPSERT, "stage": stage, "tear": tear, "times": 1}])
    with pytest.raises(httpx.TransportError):
        upsert(documents, "a")
    assert fetched(documents, "a") is applied
    assert upsert(documents, "b").status_code == 202


def test_a_tear_before_the_headers_sends_not_one_byte(
    server: PineconeServer, documents: httpx.Client, knobs: Any
) -> None:
    knobs(faults=[{"match": UPSERT, "tear": "before_headers", "times": 1}])
    with pytest.raises((httpx.RemoteProtocolError, httpx.ReadError)) as torn:
        upsert(documents, "a")
    assert "without sending a response" in str(torn.value) or "reset" in str(torn.value).lower()


def test_a_delay_alone_slows_a_request_and_answers_it(documents: httpx.Client, knobs: Any) -> None:
    knobs(faults=[{"match": UPSERT, "delay_seconds": 0.2, "times": 1}])
    start = time.monotonic()
    assert upsert(documents, "a").status_code == 202
    assert time.monotonic() - start >= 0.2


def test_the_sdk_retries_what_the_faults_throw_at_it(index: Any, knobs: Any) -> None:
    settings = knobs(
        faults=[
            {"match": "documents/upsert", "status": 503, "times": 1},
            {"match": "documents/fetch", "tear": "before_headers", "times": 1},
        ]
    )
    assert [fault["hits"] for fault in settings["faults"]] == [0, 0]
    index.documents.upsert(namespace="t", documents=[document("a")])
    assert list(index.documents.fetch(namespace="t", ids=["a"]).documents) == ["a"]


def test_chance_is_seeded(documents: httpx.Client, knobs: Any) -> None:
    def outcome(seed: int) -> list[int]:
        knobs(seed=seed, faults=[{"match": UPSERT, "status": 503, "probability": 0.5}])
        return [upsert(documents, "a").status_code for _ in range(20)]

    first = outcome(1)
    assert set(first) == {202, 503}
    assert outcome(1) == first
    assert outcome(2) != first


def test_a_rate_limit_answers_429_with_the_wait(documents: httpx.Client, knobs: Any) -> None:
    knobs(requests_per_second={"upsert": 0.01})
    assert upsert(documents, "a").status_code == 202
    limited = upsert(documents, "b")
    assert limited.status_code == 429
    assert 1 <= int(limited.headers["Retry-After"]) <= 100
    assert "upsert" in limited.text
    assert fetched(documents, "a")
    assert not fetched(documents, "b")


def test_fetch_and_search_lag_separately_and_search_says_how_far_it_is(
    documents: httpx.Client, knobs: Any
) -> None:
    first = int(upsert(documents, "a").headers["x-pinecone-request-lsn"])
    knobs(visibility_delay_seconds={"search": 3600})
    upsert(documents, "b")
    documents.post("/delete", json={"ids": ["a"]})
    assert (fetched(documents, "a"), fetched(documents, "b")) == (False, True)
    assert found(documents) == (["a"], first)
    knobs(visibility_delay_seconds={"fetch": 3600})
    upsert(documents, "c")
    assert not fetched(documents, "c")
    assert documents.post("/list", json={}).json()["documents"] == [{"_id": "b"}]


def test_a_write_is_found_when_its_delay_has_passed(documents: httpx.Client, knobs: Any) -> None:
    knobs(seed=5, visibility_delay_seconds={"search": [0.05, 0.1]})
    lsn = int(upsert(documents, "a").headers["x-pinecone-request-lsn"])
    assert found(documents)[0] == []
    deadline = time.monotonic() + 10
    while found(documents)[1] < lsn:
        assert time.monotonic() < deadline
    assert found(documents) == (["a"], lsn)


@pytest.mark.parametrize(
    ("settings", "complaint"),
    [
        ({"speed": 1}, "speed"),
        ({"faults": [{"status": 500}]}, "match"),
        ({"faults": [{"match": "x", "when": 1}]}, "when"),
        ({"faults": [{"match": "("}]}, "match"),
        ({"faults": [{"match": "x", "tear": "twice"}]}, "tear"),
        ({"visibility_delay_seconds": {"fetch": -1}}, "delay"),
        ({"visibility_delay_seconds": {"list": 1}}, "list"),
        ({"requests_per_second": {"dance": 1}}, "dance"),
    ],
)
def test_a_wrong_knob_is_refused_by_name_and_changes_nothing(
    server: PineconeServer, knobs: Any, settings: dict[str, Any], complaint: str
) -> None:
    knobs(seed=9)
    answer = httpx.put(f"{server.url}/_local/knobs", json=settings, headers=HEADERS)
    assert answer.status_code == 422
    assert complaint in answer.json()["error"]["message"]
    assert server.knobs.seed == 9


def test_the_knobs_need_the_key(server: PineconeServer) -> None:
    assert httpx.put(f"{server.url}/_local/knobs", json={}).status_code == 401
