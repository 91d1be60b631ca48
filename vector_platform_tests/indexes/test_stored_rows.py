"""Rows to what backends store and back, and the rows that no backend could hold."""

from __future__ import annotations

from typing import Any

import numpy as np
import orjson
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from vector_platform.indexes.backends.milvus.rows import milvus_rows
from vector_platform.indexes.backends.pinecone.rows import batches_by_size, pinecone_documents
from vector_platform.indexes.contract import INDEX_KEY, INDEX_ROW, Hit
from vector_platform.indexes.stored_rows import best, by_tenant, hit_of, key_batch, pages
from vector_platform.lake.contract import canonical_json

attribute_values = st.one_of(
    st.text(st.characters(codec="utf-8"), max_size=20),
    st.booleans(),
    st.integers(-(2**53), 2**53),
    st.floats(allow_nan=False, allow_infinity=False),
    st.lists(st.text(st.characters(codec="utf-8"), max_size=5), max_size=4),
)
attributes = st.dictionaries(
    st.from_regex(r"[A-Za-z][A-Za-z0-9_]{0,9}", fullmatch=True), attribute_values
)
floats = st.floats(width=32, allow_nan=False, allow_infinity=False)


def rows(*given_rows: dict[str, Any]) -> pa.RecordBatch:
    common = {
        "tenant": "acme",
        "digest": "d",
        "vector": [1.0, 0.0, 0.0],
        "region": "eu",
        "doc_id": "doc",
        "title": "t",
        "text": "x",
        "attributes": "{}",
    }
    return pa.RecordBatch.from_pylist([common | row for row in given_rows], schema=INDEX_ROW)


def namespace_of(tenant: str) -> str:
    if tenant == "impossible":
        raise ValueError("no such namespace")
    return f"{tenant}@g0001"


@given(attributes, st.lists(floats, min_size=3, max_size=3))
def test_both_backends_hold_every_attribute_and_vector_as_it_is(
    values: dict[str, Any], vector: list[float]
) -> None:
    batch = rows({"id": "a", "attributes": canonical_json(values), "vector": vector})
    [entity], refused = milvus_rows(batch, 3)
    assert not refused
    assert canonical_json(orjson.loads(orjson.dumps(entity["attributes"]))) == canonical_json(
        values
    )
    documents, refused = pinecone_documents(batch, 3, namespace_of)
    assert not refused
    [document] = orjson.loads(orjson.dumps(documents["acme@g0001"]))
    assert canonical_json(hit_of("a", 1.0, document).attributes) == canonical_json(values)
    assert document.keys() >= {f"attr_{name}" for name in values}
    np.testing.assert_array_equal(np.float32(document["vector"]), np.float32(vector))


def test_rows_are_grouped_by_namespace_in_their_order() -> None:
    batch = rows({"id": "a"}, {"id": "b", "tenant": "other"}, {"id": "c"})
    documents, _ = pinecone_documents(batch, 3, namespace_of)
    assert {ns: [d["_id"] for d in own] for ns, own in documents.items()} == {
        "acme@g0001": ["a", "c"],
        "other@g0001": ["b"],
    }


@given(st.lists(st.sampled_from("abc"), max_size=30), st.integers(1, 7))
def test_parts_are_of_one_tenant_and_nothing_is_lost(tenants: list[str], size: int) -> None:
    batch = rows(
        *(
            {"id": str(number), "tenant": tenant, "vector": [float(number)] * 3}
            for number, tenant in enumerate(tenants)
        )
    )
    parts = [part.to_pylist() for part in by_tenant(batch, size)]
    together = [row for part in parts for row in part]
    assert together == sorted(batch.to_pylist(), key=lambda row: row["tenant"])
    for part in parts:
        assert len({row["tenant"] for row in part}) == 1 and len(part) <= size
    assert len(parts) == sum(-(-tenants.count(tenant) // size) for tenant in set(tenants))


def test_a_row_that_cannot_be_held_is_refused_with_its_reason() -> None:
    batch = rows(
        {"id": "good"},
        {"id": "short", "vector": [1.0]},
        {"id": "wordy", "text": "ü" * 40_000},
        {"id": "odd", "attributes": canonical_json({"a": "x" * 70_000})},
    )
    entities, refused = milvus_rows(batch, 3)
    assert [entity["id"] for entity in entities] == ["good"]
    assert refused["short"] == "vector has 1 dimensions, the generation has 3"
    assert refused["wordy"] == "text has 80000 bytes, Milvus takes 65535"
    assert refused["odd"].startswith("attributes have 70008 bytes")
    documents, refused = pinecone_documents(
        rows(
            {"id": "good"},
            {"id": "ü"},
            {"id": "x", "tenant": "impossible"},
            {"id": "w", "text": "x" * 41_000},
        ),
        3,
        namespace_of,
    )
    assert [document["_id"] for document in documents["acme@g0001"]] == ["good"]
    assert refused.keys() == {"ü", "x", "w"}
    assert refused["x"] == "no such namespace"


def test_a_sliced_batch_keeps_each_vector_with_its_row() -> None:
    batch = rows(*({"id": str(n), "vector": [float(n)] * 3} for n in range(6))).slice(2, 3)
    entities, _ = milvus_rows(batch, 3)
    assert [(entity["id"], entity["vector"].tolist()) for entity in entities] == [
        ("2", [2.0] * 3),
        ("3", [3.0] * 3),
        ("4", [4.0] * 3),
    ]


@given(st.lists(st.integers(0, 300), max_size=60), st.integers(1, 20), st.integers(20, 1000))
def test_requests_are_cut_by_rows_and_bytes_and_nothing_is_lost(
    sizes: list[int], max_rows: int, max_bytes: int
) -> None:
    documents = [{"n": number, "x": "x" * size} for number, size in enumerate(sizes)]
    batches = list(batches_by_size(documents, max_rows=max_rows, max_bytes=max_bytes))
    assert [document for batch in batches for document in batch] == documents
    for batch in batches:
        assert 1 <= len(batch) <= max_rows
        assert len(batch) == 1 or len(orjson.dumps(batch)) <= max_bytes + 2


def test_hits_are_best_first_and_ties_by_id() -> None:
    hits = [Hit(i, s, "t", "", "", "", "", "") for i, s in [("c", 0.5), ("b", 0.9), ("a", 0.5)]]
    assert [hit.id for hit in best(hits, 2)] == ["b", "a"]


def test_fields_that_somebody_removed_read_as_empty() -> None:
    hit = hit_of("a", 0.5, {"title": None})
    assert (hit.tenant, hit.digest, hit.title, hit.attributes) == ("", "", "", {})


def test_keys_and_pages_of_nothing_are_nothing() -> None:
    assert key_batch([]).schema == INDEX_KEY
    assert key_batch([("a", "t", "d")]).to_pylist() == [{"id": "a", "tenant": "t", "digest": "d"}]
    assert list(pages([], 3)) == []
    assert list(pages(["a", "b", "c"], 2)) == [["a", "b"], ["c"]]
