"""The classic vectors API as the unmodified SDK uses it, on dense, sparse and hybrid indexes."""

from __future__ import annotations

from typing import Any

import httpx
import numpy as np
import pytest
from pinecone import Pinecone, ServerlessSpec
from pinecone.exceptions import NotFoundException, PineconeApiException

from vector_platform_tests.local.conftest import API_KEY

A = [1.0, 0.0]
B = [0.0, 1.0]


@pytest.fixture
def dense(client: Pinecone) -> Any:
    spec = ServerlessSpec(cloud="aws", region="us-east-1")
    client.create_index(name="dense", dimension=2, metric="cosine", spec=spec)
    return client.index(name="dense")


@pytest.fixture
def hybrid(client: Pinecone) -> Any:
    spec = ServerlessSpec(cloud="aws", region="us-east-1")
    client.create_index(name="hybrid", dimension=2, metric="dotproduct", spec=spec)
    return client.index(name="hybrid")


@pytest.fixture
def sparse(client: Pinecone) -> Any:
    spec = ServerlessSpec(cloud="aws", region="us-east-1")
    client.create_index(name="sparse", metric="dotproduct", vector_type="sparse", spec=spec)
    return client.index(name="sparse")


def weights(**by_index: float) -> dict[str, Any]:
    return {"indices": [int(k[1:]) for k in by_index], "values": list(by_index.values())}


def test_the_deprecated_arguments_make_a_classic_index(client: Pinecone, dense: Any) -> None:
    described = client.describe_index("dense")
    assert (described.dimension, described.metric, described.vector_type) == (2, "cosine", "dense")
    assert dense.describe_index_stats().dimension == 2


def test_vectors_are_upserted_queried_and_fetched(dense: Any) -> None:
    answer = dense.upsert(
        vectors=[("a", A, {"genre": "drama", "year": 2020}), {"id": "b", "values": B}]
    )
    assert answer.upserted_count == 2
    assert answer.response_info.lsn_committed is not None
    found = dense.query(vector=[2.0, 0.1], top_k=2, include_values=True, include_metadata=True)
    assert [match.id for match in found.matches] == ["a", "b"]
    assert found.matches[0].values == A
    assert found.matches[0].metadata == {"genre": "drama", "year": 2020.0}
    assert found.namespace == ""
    assert found.response_info.is_reconciled(answer.response_info.lsn_committed)
    bare = dense.query(vector=A, top_k=1).matches[0]
    assert (list(bare.values), bare.metadata) == ([], None)
    fetched = dense.fetch(ids=["b", "absent"])
    assert list(fetched.vectors) == ["b"]
    assert fetched.vectors["b"].values == B


def test_a_query_by_id_finds_the_neighbours_of_a_record(dense: Any) -> None:
    dense.upsert(vectors=[("a", A), ("b", [0.9, 0.1]), ("c", B)])
    assert [m.id for m in dense.query(id="a", top_k=2).matches] == ["a", "b"]
    assert dense.query(id="absent", top_k=2).matches == []


def test_queries_fetches_updates_and_deletes_follow_metadata(dense: Any) -> None:
    dense.upsert(vectors=[(f"v{i}", A, {"n": i, "even": i % 2 == 0}) for i in range(10)])
    found = dense.query(vector=A, top_k=10, filter={"even": True, "n": {"$gt": 3}})
    assert [match.id for match in found.matches] == ["v4", "v6", "v8"]
    page = dense.fetch_by_metadata(filter={"even": False}, limit=3)
    rest = dense.fetch_by_metadata(
        filter={"even": False}, limit=3, pagination_token=page.pagination.next
    )
    assert [*page.vectors, *rest.vectors] == ["v1", "v3", "v5", "v7", "v9"]
    assert rest.pagination is None
    assert (
        dense.update(filter={"even": True}, set_metadata={"x": 1}, dry_run=True).matched_records
        == 5
    )
    assert dense.fetch(ids=["v0"]).vectors["v0"].metadata == {"n": 0.0, "even": True}
    assert dense.update(filter={"even": True}, set_metadata={"x": 1}).matched_records == 5
    assert dense.fetch(ids=["v0"]).vectors["v0"].metadata == {"n": 0.0, "even": True, "x": 1.0}
    dense.delete(filter={"even": True})
    assert [i.id for page in dense.list() for i in page.vectors] == ["v1", "v3", "v5", "v7", "v9"]


def test_an_update_by_id_patches_values_and_metadata(dense: Any) -> None:
    dense.upsert(vectors=[("a", A, {"n": 1, "m": 1})])
    dense.update(id="a", values=B, set_metadata={"n": 2})
    dense.update(id="absent", values=B)
    shown = dense.fetch(ids=["a", "absent"]).vectors
    assert list(shown) == ["a"]
    assert (shown["a"].values, shown["a"].metadata) == (B, {"n": 2.0, "m": 1.0})


def test_namespaces_are_separate_and_deletes_empty_them(dense: Any) -> None:
    dense.upsert(vectors=[("a", A)], namespace="one")
    dense.upsert(vectors=[("a", B), ("b", B)])
    stats = dense.describe_index_stats()
    assert {n: s.vector_count for n, s in stats.namespaces.items()} == {"one": 1, "__default__": 2}
    dense.delete(delete_all=True, namespace="one")
    assert dense.describe_namespace(name="one").record_count == 0
    with pytest.raises(NotFoundException):
        dense.delete(delete_all=True, namespace="never")
    dense.delete(ids=["a"], namespace="never")
    dense.delete(ids=["a"])
    assert dense.describe_index_stats().total_vector_count == 1


def test_listing_pages_through_ids_with_a_prefix(dense: Any) -> None:
    dense.upsert(vectors=[(f"{g}{i:03}", A) for g in "ab" for i in range(150)])
    pages = list(dense.list(prefix="b", limit=40))
    assert [item.id for page in pages for item in page.vectors] == [f"b{i:03}" for i in range(150)]
    assert len(pages) == 4


def test_hybrid_scores_are_the_sum_of_dense_and_sparse(hybrid: Any) -> None:
    hybrid.upsert(
        vectors=[
            {"id": "a", "values": A, "sparse_values": weights(_1=1.0, _2=2.0)},
            {"id": "b", "values": [3.0, 0.0]},
            {"id": "c", "values": B, "sparse_values": weights(_2=10.0)},
        ]
    )
    found = hybrid.query(vector=A, sparse_vector=weights(_2=0.5, _9=1.0), top_k=3)
    assert [(m.id, m.score) for m in found.matches] == [("c", 5.0), ("b", 3.0), ("a", 2.0)]
    hybrid.update(id="a", sparse_values=weights(_2=40.0))
    assert hybrid.query(vector=A, sparse_vector=weights(_2=0.5), top_k=1).matches[0].id == "a"
    shown = hybrid.fetch(ids=["a", "b"]).vectors
    assert shown["a"].sparse_values.values == [40.0]
    assert shown["b"].sparse_values is None


def test_a_sparse_index_ranks_by_shared_indices(client: Pinecone, sparse: Any) -> None:
    assert client.describe_index("sparse").vector_type == "sparse"
    sparse.upsert(
        vectors=[
            {"id": "a", "sparse_values": weights(_1=1.0), "metadata": {"n": 1}},
            {"id": "b", "sparse_values": weights(_1=2.0, _4000000000=1.0)},
            {"id": "c", "sparse_values": weights(_7=5.0)},
        ]
    )
    found = sparse.query(sparse_vector=weights(_1=1.0), top_k=5)
    assert [(m.id, m.score) for m in found.matches] == [("b", 2.0), ("a", 1.0)]
    filtered = sparse.query(sparse_vector=weights(_1=1.0), top_k=5, filter={"n": 1})
    assert [match.id for match in filtered.matches] == ["a"]
    assert [match.id for match in sparse.query(id="b", top_k=1).matches] == ["b"]


def test_a_batched_upsert_of_the_sdk_lands_completely(dense: Any) -> None:
    vectors = np.random.default_rng(3).normal(size=(1500, 2)).tolist()
    answer = dense.upsert(
        vectors=[(f"v{i}", v) for i, v in enumerate(vectors)], batch_size=200, show_progress=False
    )
    assert answer.upserted_count == 1500
    assert dense.describe_index_stats().total_vector_count == 1500


@pytest.mark.parametrize(("path", "body", "complaint"), [
    ("vectors/upsert", {"vectors": []}, "between 1 and 1000"),
    ("vectors/upsert", {"vectors": [{"id": "a", "values": [1]}]}, "dimension 1 does not match"),
    ("vectors/upsert", {"vectors": [{"id": "a"}]}, "dimension 0 does not match"),
    ("vectors/upsert", {"vectors": [{"id": "a", "values": [0, 0]}]}, "non-zero"),
    ("vectors/upsert", {"vectors": [{"id": "é", "values": A}]}, "ASCII"),
    (
        "vectors/upsert",
        {"vectors": [{"id": "a", "values": A, "sparseValues": weights(_1=1.0)}]},
        "does not support sparse values",
    ),
    (
        "vectors/upsert",
        {"vectors": [{"id": "a", "values": A, "metadata": {"x": {"y": 1}}}]},
        "for field 'x'",
    ),
    ("query", {"vector": A, "topK": 10001}, "topK"),
    ("query", {"topK": 1}, "'vector', 'sparseVector' or 'id'"),
    ("query", {"vector": A, "id": "a", "topK": 1}, "both"),
    ("query", {"vector": [1, 2, 3], "topK": 1}, "dimension 3"),
    ("vectors/fetch_by_metadata", {"filter": {}}, "Empty filter"),
    ("vectors/delete", {"filter": {}}, "empty metadata filter"),
    ("vectors/delete", {"ids": ["a"], "deleteAll": True}, "exactly one"),
    ("vectors/delete", {}, "exactly one"),
    ("vectors/update", {"id": "a", "filter": {"n": 1}}, "exactly one"),
    ("describe_index_stats", {"filter": {"n": 1}}, "do not support"),
])  # fmt: skip
def test_a_wrong_request_is_refused_in_the_style_of_this_api(
    client: Pinecone, dense: Any, path: str, body: dict[str, Any], complaint: str
) -> None:
    host = client.describe_index("dense").host
    answer = httpx.post(f"{host}/{path}", json=body, headers={"Api-Key": API_KEY})
    assert answer.status_code == 400
    assert complaint in answer.json()["message"]
    assert answer.json()["code"] == 3
    assert answer.json()["details"] == []


def test_a_null_metadata_value_is_dropped(client: Pinecone, dense: Any) -> None:
    dense.upsert(vectors=[{"id": "a", "values": A, "metadata": {"n": None, "m": 1}}])
    assert dense.fetch(ids=["a"]).vectors["a"].metadata == {"m": 1.0}


def test_each_api_refuses_the_indexes_of_the_other(dense: Any, index: Any) -> None:
    with pytest.raises(PineconeApiException, match="documents API"):
        index.upsert(vectors=[("a", [1.0, 0.0, 0.0, 0.0])])
    with pytest.raises(PineconeApiException, match="vectors API"):
        dense.documents.upsert(namespace="t", documents=[{"_id": "a", "_values": A}])


def test_reads_follow_an_alias_and_writes_are_refused_it(client: Pinecone, dense: Any) -> None:
    dense.upsert(vectors=[("a", A)], namespace="v1")
    body = {"name": "live", "target_namespace": "v1"}
    host = client.describe_index("dense").host
    httpx.post(f"{host}/namespace-aliases", json=body, headers={"Api-Key": API_KEY})
    assert [m.id for m in dense.query(vector=A, top_k=1, namespace="live").matches] == ["a"]
    assert list(dense.fetch(ids=["a"], namespace="live").vectors) == ["a"]
    for write, status in (
        (lambda: dense.upsert(vectors=[("b", B)], namespace="live"), 409),
        (lambda: dense.delete(ids=["a"], namespace="live"), 400),
        (lambda: dense.update(id="a", values=B, namespace="live"), 400),
    ):
        with pytest.raises(PineconeApiException) as refused:
            write()
        assert refused.value.status_code == status
