"""The documents API as the unmodified SDK uses it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from pinecone import Pinecone
from pinecone.exceptions import PineconeApiException

from vector_platform_tests.local.conftest import document, nearest


def ids(matches: Any) -> list[str]:
    return [match.id for match in matches]


def test_an_upserted_document_comes_back_whole_with_float32_vectors(index: Any) -> None:
    given = document(
        "a", [0.1, 0.2, 0.3, 0.4], body="text", n=7, flag=True, tags=["x", "y"], name="ünï"
    )
    answer = index.documents.upsert(namespace="t", documents=[given])
    assert answer.upserted_count == 1
    fetched = index.documents.fetch(namespace="t", ids=["a", "absent"]).documents
    assert set(fetched) == {"a"}
    shown = fetched["a"].to_dict()
    assert np.float32(shown.pop("vector")).tolist() == np.float32(given.pop("vector")).tolist()
    assert shown == given | {"n": 7.0}


def test_an_upsert_replaces_the_whole_document(index: Any) -> None:
    index.documents.upsert(namespace="t", documents=[document("a", n=1, body="old")])
    index.documents.upsert(namespace="t", documents=[document("a", m=2)])
    shown = index.documents.fetch(namespace="t", ids=["a"]).documents["a"].to_dict()
    assert shown == document("a", m=2.0)
    assert not index.documents.fetch(namespace="t", filter={"n": 1}).documents


def test_dense_search_equals_exact_search_with_ties_in_id_order(index: Any) -> None:
    random = np.random.default_rng(7)
    vectors = random.normal(size=(300, 4)).astype(np.float32)
    vectors[200:] = vectors[:100]
    index.documents.upsert(
        namespace="t",
        documents=[
            document(f"d{i:03}", v.tolist(), even=i % 2 == 0) for i, v in enumerate(vectors)
        ],
    )
    query = random.normal(size=4).astype(np.float32)
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    scores = unit @ (query / np.linalg.norm(query))
    for condition, allowed in ((None, range(300)), ({"even": True}, range(0, 300, 2))):
        found = index.documents.search(
            namespace="t", top_k=25, score_by=nearest(query.tolist()), filter=condition
        ).matches
        expected = sorted(allowed, key=lambda i: (-round(float(scores[i]), 5), i))[:25]
        assert [round(m.score, 4) for m in found] == [round(float(scores[i]), 4) for i in expected]
        ranks = [(-match.score, match.id) for match in found]
        assert ranks == sorted(ranks)
        assert {int(match.id[1:]) for match in found} <= set(allowed)


@pytest.mark.parametrize(
    ("metric", "query", "expected"),
    [
        ("euclidean", [1, 2], [("near", 1.0), ("far", 145.0)]),
        ("dotproduct", [1, 1], [("far", 20.0), ("near", 2.0)]),
        ("cosine", [1, 1], [("far", 1.0), ("near", 1.0)]),
    ],
)
def test_each_metric_ranks_its_own_way(
    client: Pinecone, metric: str, query: list[float], expected: list[tuple[str, float]]
) -> None:
    fields = {"v": {"type": "dense_vector", "dimension": 2, "metric": metric}}
    client.indexes.create(name=metric, schema={"fields": fields})
    index = client.index(name=metric)
    documents = [{"_id": "near", "v": [1, 1]}, {"_id": "far", "v": [10, 10]}]
    index.documents.upsert(namespace="t", documents=documents)
    clause = {"type": "dense_vector", "field": "v", "values": query}
    found = index.documents.search(namespace="t", top_k=2, score_by=[clause]).matches
    assert [(match.id, pytest.approx(match.score)) for match in found] == expected


def test_sparse_search_returns_what_shares_an_index(index: Any) -> None:
    index.documents.upsert(
        namespace="t",
        documents=[
            document("a", keywords={"indices": [1, 5], "values": [1.0, 2.0]}),
            document("b", keywords={"indices": [5], "values": [3.0]}),
            document("c", keywords={"indices": [9], "values": [9.0]}),
        ],
    )
    query = {"indices": [5, 1], "values": [1.0, 0.5]}
    clause = {"type": "sparse_vector", "field": "keywords", "sparse_values": query}
    found = index.documents.search(namespace="t", top_k=5, score_by=[clause]).matches
    assert [(m.id, m.score) for m in found] == [("b", 3.0), ("a", 2.5)]


def test_text_search_ranks_rare_words_first_and_follows_changes(index: Any) -> None:
    texts = {"a": "the cat sat", "b": "the dog sat", "c": "the cat and the cat", "d": "the end"}
    index.documents.upsert(
        namespace="t", documents=[document(i, body=text) for i, text in texts.items()]
    )
    clause = [{"type": "text", "query": "a CAT", "fields": ["body"]}]
    found = index.documents.search(namespace="t", top_k=5, score_by=clause).matches
    assert ids(found)[:2] == ["c", "a"]
    index.documents.delete(namespace="t", ids=["c"])
    index.documents.update(namespace="t", documents=[{"_id": "d", "body": "cat"}])
    found = index.documents.search(namespace="t", top_k=5, score_by=clause).matches
    assert ids(found) == ["d", "a"]


def test_text_scores_after_deletes_and_changes_equal_those_of_a_fresh_namespace(index: Any) -> None:
    texts = {f"d{i}": " ".join(["cat"] * (i % 4) + ["dog"] * (i % 3) + ["end"]) for i in range(40)}
    clause = [{"type": "text", "query": "cat dog", "fields": ["body"]}]

    def scores(namespace: str) -> dict[str, float]:
        found = index.documents.search(namespace=namespace, top_k=50, score_by=clause).matches
        return {match.id: match.score for match in found}

    everything = [document(name, body=f"{text} cat bird") for name, text in texts.items()]
    index.documents.upsert(namespace="changed", documents=everything)
    scores("changed")
    index.documents.delete(namespace="changed", ids=[f"d{i}" for i in range(20)])
    left = [document(name, body=text) for name, text in texts.items() if int(name[1:]) >= 20]
    index.documents.upsert(namespace="changed", documents=left)
    index.documents.upsert(namespace="fresh", documents=left)
    assert scores("changed") == pytest.approx(scores("fresh"))
    assert len(scores("fresh")) > 10


def test_search_returns_only_ids_and_scores_unless_fields_are_named(index: Any) -> None:
    index.documents.upsert(namespace="t", documents=[document("a", n=1, m=2)])

    def search(**options: Any) -> dict[str, Any]:
        query = nearest([1, 0, 0, 0])
        answer = index.documents.search(namespace="t", top_k=1, score_by=query, **options)
        return dict(answer.matches[0].to_dict())

    assert search() == {"_id": "a", "_score": 1.0}
    assert search(include_fields=["n"]) == {"_id": "a", "_score": 1.0, "n": 1.0}
    assert search(include_fields=["*"]) == document("a", n=1.0, m=2.0) | {"_score": 1.0}


def test_reads_of_a_namespace_that_does_not_exist_are_empty(index: Any) -> None:
    query = nearest([1, 0, 0, 0])
    assert index.documents.search(namespace="no", top_k=1, score_by=query).matches == []
    assert index.documents.fetch(namespace="no", ids=["a"]).documents == {}
    assert list(index.documents.list(namespace="no")) == []


def test_listing_pages_through_all_ids_in_order_and_by_prefix(index: Any) -> None:
    names = [f"{group}-{i:03}" for group in ("a", "b", "b~") for i in range(60)]
    index.documents.upsert(namespace="t", documents=[document(name) for name in names])
    assert [d.id for d in index.documents.list(namespace="t", limit=7)] == sorted(names)
    assert [d.id for d in index.documents.list(namespace="t", prefix="b-", limit=100)] == [
        name for name in names if name.startswith("b-")
    ]


def test_a_fetch_by_filter_pages_without_losing_or_repeating(index: Any) -> None:
    index.documents.upsert(
        namespace="t", documents=[document(f"d{i:02}", odd=i % 2) for i in range(40)]
    )
    seen: list[str] = []
    token = None
    while True:
        answer = index.documents.fetch(
            namespace="t", filter={"odd": 1}, limit=6, pagination_token=token
        )
        seen += answer.documents
        if answer.pagination is None:
            break
        token = answer.pagination.next
    assert seen == [f"d{i:02}" for i in range(1, 40, 2)]


def test_updates_set_and_remove_fields_by_id_and_by_filter(index: Any) -> None:
    index.documents.upsert(namespace="t", documents=[document(i, n=1, m=1) for i in "abc"])
    index.documents.update(
        namespace="t",
        documents=[
            {"_id": "a", "n": 2, "_remove_fields": ["m"]},
            {"_id": "absent", "n": 2},
        ],
    )
    answer = index.documents.update(namespace="t", filter={"n": 1}, set_fields={"seen": True})
    assert answer.matched_records == 2
    fetched = index.documents.fetch(namespace="t", ids=["a", "b", "absent"]).documents
    assert {i: d.to_dict() for i, d in fetched.items()} == {
        "a": document("a", n=2.0),
        "b": document("b", n=1.0, m=1.0, seen=True),
    }


@pytest.mark.parametrize(
    ("selector", "left"),
    [
        ({"ids": ["a", "absent"]}, ["b", "c"]),
        ({"filter": {"n": {"$gte": 1}}}, ["a"]),
        ({"delete_all": True}, []),
    ],
)
def test_deletes_by_ids_by_filter_and_of_everything(
    index: Any, selector: dict[str, Any], left: list[str]
) -> None:
    index.documents.upsert(namespace="t", documents=[document(i, n=n) for n, i in enumerate("abc")])
    answer = index.documents.delete(namespace="t", **selector)
    assert answer.matched_records == (2 if "filter" in selector else None)
    assert [d.id for d in index.documents.list(namespace="t")] == left
    query = nearest([1, 0, 0, 0])
    assert ids(index.documents.search(namespace="t", top_k=5, score_by=query).matches) == left
    assert index.describe_index_stats().total_vector_count == len(left)


def test_a_search_reports_the_position_of_the_writes_it_shows(index: Any) -> None:
    committed = []
    for write in (
        lambda: index.documents.upsert(namespace="t", documents=[document("a")]),
        lambda: index.documents.update(namespace="t", documents=[{"_id": "a", "n": 1}]),
        lambda: index.documents.delete(namespace="t", ids=["a"]),
    ):
        committed.append(write().response_info.lsn_committed)
        query = nearest([1, 0, 0, 0])
        found = index.documents.search(namespace="t", top_k=1, score_by=query)
        assert found.response_info.is_reconciled(committed[-1])
        assert not found.response_info.is_reconciled(committed[-1] + 1)
    assert committed == sorted(set(committed))


def test_a_bulk_upsert_of_the_sdk_lands_completely(index: Any) -> None:
    result = index.documents.batch_upsert(
        namespace="t", documents=[document(f"d{i}", n=i) for i in range(2500)], show_progress=False
    )
    assert not result.errors
    assert index.describe_namespace(name="t").record_count == 2500


@pytest.mark.parametrize("clause", [
    {"type": "query_string", "query": "body:cat"},
    {"type": "embed", "query": "cat", "field": "body"},
])  # fmt: skip
def test_scoring_the_server_does_not_do_is_answered_with_501(
    index: Any, clause: dict[str, Any]
) -> None:
    with pytest.raises(PineconeApiException) as refused:
        index.documents.search(namespace="t", top_k=1, score_by=[clause])
    assert refused.value.status_code == 501
    assert clause["type"] in str(refused.value)
