"""Pinecone's limits: status and message, and that a refused request writes nothing."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from pinecone import Pinecone

from vector_platform.local.pinecone_server import PineconeServer
from vector_platform_tests.local.conftest import API_KEY, SCHEMA, document, nearest


def wide(count: int) -> dict[str, Any]:
    return {"indices": list(range(count)), "values": [1.0] * count}


@pytest.fixture(scope="module")
def index(server: PineconeServer) -> Any:
    sdk = Pinecone(api_key=API_KEY, host=server.url)
    sdk.indexes.create(name="limits", schema=SCHEMA)
    return sdk.index(name="limits")


@pytest.fixture(scope="module")
def post(index: Any) -> Iterator[Any]:
    url = f"{index.host}/namespaces"
    with httpx.Client(base_url=url, headers={"Api-Key": API_KEY}) as http:
        yield lambda operation, namespace="t", **body: http.post(
            f"/{namespace}/documents/{operation}", json=body
        )


@pytest.mark.parametrize(
    ("bad", "complaint"),
    [
        ({"_id": "a"}, "missing required field 'vector'"),
        ({"vector": [1, 0, 0, 0]}, "_id"),
        (document(""), "_id"),
        (document("x" * 513), "512"),
        (document("ünï"), "ASCII"),
        (document("a", [1, 0, 0]), "dimension 3 does not match the dimension of the index 4"),
        (document("a", [0, 0, 0, 0]), "at least one non-zero value"),
        (document("a", [1, 0, 0, 1e39]), "finite"),
        (document("a", [1, 0, 0, True]), "array of numbers"),
        (document("a", [1, 0, 0, "1"]), "array of numbers"),
        (document("a", n=None), "field 'n'"),
        (document("a", n={"x": 1}), "field 'n'"),
        (document("a", n=[1, 2]), "field 'n'"),
        (document("a", _n=1), "'_n' is reserved"),
        (document("a", **{"$n": 1}), "'$n' is reserved"),
        (document("a", **{"n" * 65: 1}), "64 bytes"),
        (document("a", text="x" * 40_960), "exceeds the limit of 40960 bytes"),
        (document("a", body="x" * 102_401), "exceeds 102400 bytes"),
        (document("a", body=1), "must be a string"),
        (document("a", keywords=wide(2049)), "2048"),
        (document("a", keywords={"indices": [1, 1], "values": [1, 2]}), "unique"),
        (document("a", keywords={"indices": [-1], "values": [1]}), "whole numbers"),
        (document("a", keywords={"indices": [1], "values": []}), "equally long"),
    ],
)
def test_one_wrong_document_refuses_the_batch_and_nothing_is_written(
    post: Any, index: Any, bad: dict[str, Any], complaint: str
) -> None:
    answer = post("upsert", "refused", documents=[document("good"), bad])
    assert answer.status_code == 400
    assert complaint in answer.json()["error"]["message"]
    assert "refused" not in index.describe_index_stats().namespaces


def test_the_largest_document_is_accepted(post: Any) -> None:
    largest = document("x" * 512, body="x" * 102_400, text="x" * 40_000, keywords=wide(2048))
    assert post("upsert", documents=[largest]).status_code == 202


@pytest.mark.parametrize(
    ("operation", "body", "complaint"),
    [
        ("upsert", {"documents": []}, "1 to 1000"),
        ("upsert", {"documents": [document(f"d{i}") for i in range(1001)]}, "got 1001"),
        ("upsert", {"documents": [document("a"), document("a")]}, "unique"),
        ("search", {"score_by": nearest([1, 0, 0, 0]), "top_k": 10_001}, "10000"),
        ("search", {"score_by": nearest([1, 0, 0, 0]), "top_k": 0}, "top_k"),
        ("search", {"score_by": nearest([1, 0, 0, 0]), "top_k": True}, "top_k"),
        ("search", {"score_by": [], "top_k": 1}, "at least one"),
        ("search", {"score_by": nearest([1, 0, 0, 0]) * 2, "top_k": 1}, "alone"),
        ("search", {"score_by": nearest([1, 0]), "top_k": 1}, "dimension"),
        (
            "search",
            {"score_by": [{"type": "text", "query": "x", "fields": ["n"]}], "top_k": 1},
            "'n'",
        ),
        (
            "search",
            {"score_by": [{"type": "dense_vector", "field": "w", "values": [1]}], "top_k": 1},
            "'w'",
        ),
        ("fetch", {"ids": [f"d{i}" for i in range(1001)]}, "1000"),
        ("fetch", {"ids": ["a"], "filter": {"n": 1}}, "exactly one"),
        ("fetch", {}, "exactly one"),
        ("fetch", {"filter": {"n": 1}, "limit": 10_001}, "10000"),
        ("fetch", {"filter": {"n": 1}, "pagination_token": "é"}, "pagination token"),
        ("list", {"limit": 101}, "100"),
        ("list", {"prefix": "x" * 513}, "512"),
        ("delete", {"ids": [f"d{i}" for i in range(1001)]}, "1000"),
        ("delete", {"ids": ["a"], "delete_all": True}, "exactly one"),
        ("delete", {"filter": {"body": {"$match_any": "x"}}}, "deletes and updates"),
        ("update", {"filter": {"n": 1}}, "set_fields"),
        ("update", {"documents": [document("a")], "filter": {"n": 1}}, "combined"),
    ],
)
def test_a_request_over_a_limit_is_refused_by_name(
    post: Any, operation: str, body: dict[str, Any], complaint: str
) -> None:
    answer = post(operation, **body)
    assert answer.status_code == 400
    assert complaint in answer.json()["error"]["message"]
    assert answer.json()["error"]["code"] == "INVALID_ARGUMENT"


def test_a_body_over_two_megabytes_is_refused_with_413(post: Any) -> None:
    documents = [document(f"d{i}", body="x" * 100_000) for i in range(22)]
    answer = post("upsert", documents=documents)
    assert answer.status_code == 413
    assert "exceeds the maximum supported size of 2MB" in answer.json()["error"]["message"]
    assert post("upsert", documents=documents[:20]).status_code == 202


def test_a_body_that_is_not_json_is_refused(index: Any) -> None:
    url, headers = f"{index.host}/namespaces/t/documents/upsert", {"Api-Key": API_KEY}
    assert httpx.post(url, content=b"{", headers=headers).status_code == 400
    assert httpx.post(url, content=b"[]", headers=headers).status_code == 400


def test_an_update_may_not_leave_a_document_without_its_vector_or_over_a_limit(
    post: Any, index: Any
) -> None:
    post("upsert", documents=[document("a", text="x" * 30_000)])
    for patch in ({"_remove_fields": ["vector"]}, {"more": "x" * 20_000}):
        assert post("update", documents=[{"_id": "a"} | patch]).status_code == 400
    shown = index.documents.fetch(namespace="t", ids=["a"]).documents["a"].to_dict()
    assert shown == document("a", text="x" * 30_000)
