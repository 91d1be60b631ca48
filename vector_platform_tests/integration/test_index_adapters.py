"""One suite for both backends, against the embedded servers: what `VectorIndex` promises."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from pinecone import Pinecone
from pymilvus import MilvusClient

from vector_platform.indexes.backends.milvus.names import collection_name
from vector_platform.indexes.backends.pinecone.names import pinecone_index_name
from vector_platform.indexes.base import VectorIndex
from vector_platform.indexes.contract import (
    INDEX_ROW,
    Generation,
    IndexRejected,
    IndexUnavailable,
    RowKey,
    RowsRejected,
    Scope,
)
from vector_platform.indexes.proof.row_contents import differing_fields, wanted_rows
from vector_platform.lake.contract import canonical_json
from vector_platform.quality.retrieval.measures import asked_scope
from vector_platform_tests.integration.conftest import API_KEY, Server, free_port, open_index

pytestmark = pytest.mark.integration

DIMENSION = 16
_names = (f"t{number}" for number in itertools.count())

ODD_TENANTS = [
    "default",
    'it\'s "quoted"',
    "back\\slash",
    "two words",
    "über/東京",
    "a@g0001",
    "50%",
    "line\nbreak",
]


def unit_vectors(count: int, dimension: int = DIMENSION, seed: int = 7) -> np.ndarray:
    drawn = np.random.default_rng(seed).normal(size=(count, dimension)).astype(np.float32)
    return drawn / np.linalg.norm(drawn, axis=1, keepdims=True)


def batch_of(*rows: dict[str, Any], dimension: int = DIMENSION) -> pa.RecordBatch:
    """Rows with defaults for what a test does not care about."""
    full = []
    for number, row in enumerate(rows):
        attributes = canonical_json(row.pop("attributes", {}))
        full.append(
            {
                "tenant": "default",
                "digest": f"digest of {row['id']}",
                "vector": unit_vectors(len(rows), dimension)[number],
                "region": "global",
                "doc_id": f"document of {row['id']}",
                "title": "A title",
                "text": "A text",
                "attributes": attributes,
            }
            | row
        )
    return pa.RecordBatch.from_pylist(full, schema=INDEX_ROW)


def keys_of(target: VectorIndex, generation: Generation) -> set[tuple[str, str, str]]:
    """All rows, read in one scan and tenant by tenant through the filter: the same."""
    scanned = {tuple(row.values()) for b in target.scan(generation) for row in b.to_pylist()}
    filtered = {
        tuple(row.values())
        for tenant in target.tenants(generation)
        for batch in target.keys(generation, tenant)
        for row in batch.to_pylist()
    }
    assert scanned == filtered
    return scanned


@pytest.fixture
def generation(target: VectorIndex) -> Iterator[Generation]:
    made = Generation(next(_names), "g0001", "tiny-1.0", DIMENSION)
    target.create(made)
    yield made
    target.drop(made)


def test_a_row_comes_back_as_it_was_written(target: VectorIndex, generation: Generation) -> None:
    attributes = {
        "whole": 1,
        "real": 1.0,
        "largest": 2**53,
        "smallest": -(2**53),
        "negative_zero": -0.0,
        "tiny": 5e-324,
        "third": 1 / 3,
        "yes": True,
        "no": False,
        "empty": "",
        "unicode": 'Zürich 東京 😀 " \\ \n \x01',
        "nothing": [],
        "several": ["b", "a", "", "ü"],
    }
    text = "long text, 長い文章. " * 1000
    row = {"id": "d#0", "title": "T 😀", "text": text, "region": "eu", "attributes": attributes}
    vector = unit_vectors(1)[0]
    written = batch_of(row)
    target.upsert(generation, written)
    target.fence(generation)
    [hit] = target.search(generation, vector, k=3, scope=Scope.of("default"))
    assert (hit.id, hit.tenant, hit.doc_id) == ("d#0", "default", "document of d#0")
    assert (hit.title, hit.text, hit.region) == ("T 😀", text, "eu")
    assert hit.digest == "digest of d#0"
    assert canonical_json(hit.attributes) == canonical_json(attributes)
    assert hit.score == pytest.approx(1, abs=1e-5)
    assert target.whole_rows(generation, [("d#0", "default"), ("gone", "default")]).keys() == {
        ("d#0", "default")
    }
    stored = target.whole_rows(generation, [("d#0", "default")])["d#0", "default"]
    [(_, wanted)] = wanted_rows(written)
    assert differing_fields(wanted, stored) == []


@pytest.mark.parametrize("fresh", [True, False])
def test_rows_named_by_id_and_tenant_are_found_where_they_are_there(
    target: VectorIndex, generation: Generation, fresh: bool
) -> None:
    rows = [{"id": f"r{n}", "tenant": f"t{n % 2}"} for n in range(10)]
    target.upsert(generation, batch_of(*rows), fresh=fresh)
    target.fence(generation)

    def found(*keys: RowKey) -> list[RowKey]:
        batches = target.find(generation, keys)
        return sorted((row["id"], row["tenant"]) for b in batches for row in b.to_pylist())

    there = [("r0", "t0"), ("r3", "t1"), ("r4", "t0")]
    # A filter names ids and tenants: only pairs that were asked for may come back.
    assert found(*there, ("r1", "t0"), ("gone", "t0"), ("r5", "nobody")) == there
    assert found(("r1", "t0")) == found(("r1", "nobody")) == found() == []
    assert target.whole_rows(generation, [*there, ("r1", "t0")]).keys() == set(there)
    assert target.counts(generation, ["t1", "nobody", "t0"]) == {"t1": 5, "nobody": 0, "t0": 5}


def test_writing_again_changes_nothing_and_new_values_replace_old(
    target: VectorIndex, generation: Generation
) -> None:
    rows = batch_of({"id": "a"}, {"id": "b"})
    target.upsert(generation, rows, fresh=True)
    target.upsert(generation, rows)
    target.upsert(generation, batch_of({"id": "b", "digest": "newer", "attributes": {"n": 2}}))
    target.fence(generation)
    assert target.count(generation) == 2
    assert {key[::2] for key in keys_of(target, generation)} == {
        ("a", "digest of a"),
        ("b", "newer"),
    }
    hits = target.search(generation, unit_vectors(1)[0], k=5, scope=Scope.all_tenants())
    assert {hit.id: hit.attributes for hit in hits} == {"a": {}, "b": {"n": 2}}


def test_deleted_rows_are_gone_and_deleting_them_again_is_no_error(
    target: VectorIndex, generation: Generation
) -> None:
    target.upsert(generation, batch_of({"id": "a"}, {"id": "b"}, {"id": "c", "tenant": "other"}))
    for _ in range(2):
        rows = [("a", "default"), ("never there", "default"), ("b", "nobody"), ("c", "default")]
        target.delete(generation, rows)
        target.fence(generation)
    assert {key[0] for key in keys_of(target, generation)} == {"b", "c"}
    assert target.count(generation) == 2
    assert {
        hit.id
        for hit in target.search(generation, unit_vectors(1)[0], k=9, scope=Scope.all_tenants())
    } == {"b", "c"}


def test_a_tenant_never_sees_the_rows_of_another(
    target: VectorIndex, generation: Generation
) -> None:
    rows = [{"id": f"row {n}", "tenant": tenant} for n, tenant in enumerate(ODD_TENANTS)]
    target.upsert(generation, batch_of(*rows))
    target.fence(generation)
    assert target.tenants(generation) == sorted(ODD_TENANTS)
    for number, tenant in enumerate(ODD_TENANTS):
        found = [row for batch in target.keys(generation, tenant) for row in batch.to_pylist()]
        assert [(row["id"], row["tenant"]) for row in found] == [(f"row {number}", tenant)]
        hits = target.search(generation, unit_vectors(1)[0], k=20, scope=Scope.of(tenant))
        assert [(hit.id, hit.tenant) for hit in hits] == [(f"row {number}", tenant)]
    assert target.search(generation, unit_vectors(1)[0], k=3, scope=Scope.of('x" or id != "')) == []
    assert list(target.keys(generation, 'x" or id != "')) == []
    everything = target.search(generation, unit_vectors(1)[0], k=20, scope=Scope.all_tenants())
    assert {hit.tenant for hit in everything} == set(ODD_TENANTS)
    random = np.random.default_rng(0)
    for _ in range(20):
        some = [tenant for tenant in ODD_TENANTS if random.random() < 0.5]
        hits = target.search(generation, unit_vectors(1)[0], k=20, scope=Scope.of(*some))
        assert sorted(hit.tenant for hit in hits) == sorted(some)


def test_of_no_tenant_nothing_is_found_and_the_backend_is_not_asked(target: VectorIndex) -> None:
    nowhere = Generation("documents", "g9999", "tiny-1.0", DIMENSION)
    vectors = unit_vectors(2)
    assert target.search(nowhere, vectors[0], k=5, scope=Scope.of()) == []
    assert target.nearest(nowhere, vectors, k=5, scope=Scope.of()) == [[], []]


def test_a_row_moved_to_another_tenant_is_there_once(
    target: VectorIndex, generation: Generation
) -> None:
    target.upsert(generation, batch_of({"id": "a", "tenant": "old"}, {"id": "b", "tenant": "old"}))
    target.fence(generation)
    target.upsert(generation, batch_of({"id": "a", "tenant": "new"}))
    if not target.ids_are_global:
        target.delete(generation, [("a", "old")])
    target.fence(generation)
    assert {key[:2] for key in keys_of(target, generation)} == {("a", "new"), ("b", "old")}
    assert target.count(generation) == 2
    assert target.whole_rows(generation, [("a", "old")]) == {}
    target.delete(generation, [("a", "old")])  # must not touch the row that lives elsewhere now
    target.fence(generation)
    assert target.count(generation) == 2


def test_keys_are_exactly_what_was_written(target: VectorIndex, generation: Generation) -> None:
    vectors = unit_vectors(5000)
    rows = [
        {"id": f"d{n}#0", "tenant": f"tenant {n % 7}", "digest": f"{n:032x}", "vector": vectors[n]}
        for n in range(5000)
    ]
    expected = {(row["id"], row["tenant"], row["digest"]) for row in rows}
    for start in range(0, len(rows), 1000):
        target.upsert(generation, batch_of(*rows[start : start + 1000]))
    target.fence(generation)
    found = [
        (row["id"], row["tenant"], row["digest"])
        for batch in target.scan(generation)
        for row in batch.to_pylist()
    ]
    assert len(found) == len(expected)
    assert set(found) == expected
    assert target.count(generation) == 5000
    exact = vectors @ vectors[17]
    hits = target.search(generation, vectors[17], k=10, scope=Scope.all_tenants())
    assert [hit.id for hit in hits] == [f"d{n}#0" for n in np.argsort(-exact)[:10]]
    own = np.arange(5000) % 7 == 3
    hits = target.search(generation, vectors[17], k=10, scope=Scope.of("tenant 3"))
    best = np.argsort(np.where(own, -exact, 2))[:10]
    assert [hit.id for hit in hits] == [f"d{n}#0" for n in best]
    np.testing.assert_allclose([hit.score for hit in hits], exact[best], atol=1e-5)
    # More than a page of queries.
    for tenant in (None, "tenant 3"):
        assert target.nearest(generation, vectors[:250], k=10, scope=asked_scope(tenant)) == [
            [hit.id for hit in target.search(generation, vector, k=10, scope=asked_scope(tenant))]
            for vector in vectors[:250]
        ]
    assert target.nearest(generation, vectors[:0], k=10, scope=Scope.of("tenant 3")) == []


def test_equal_scores_are_ordered_by_id(target: VectorIndex, generation: Generation) -> None:
    vector = unit_vectors(1)[0]
    rows = [
        {"id": i, "tenant": t, "vector": vector} for i, t in [("c", "x"), ("a", "y"), ("b", "x")]
    ]
    target.upsert(generation, batch_of(*rows))
    target.fence(generation)
    assert [
        hit.id for hit in target.search(generation, vector, k=3, scope=Scope.all_tenants())
    ] == ["a", "b", "c"]


def test_a_generation_exists_from_its_creation_to_its_drop(target: VectorIndex) -> None:
    name = next(_names)
    first = Generation(name, "g0001", "tiny-1.0", DIMENSION)
    second = replace(first, name="g0002")
    other = replace(first, name="g0003", model_version="wide", dimension=32)
    assert [p.generation.name for p in target.claims(name)] == []
    assert not target.exists(first)
    target.drop(first)
    for made in (first, second, other, first):
        target.create(made)
    assert target.exists(first)
    assert [p.generation.name for p in target.claims(name)] == ["g0001", "g0002", "g0003"]
    assert target.tenants(first) == []
    assert target.count(first) == 0
    target.fence(first)
    assert target.search(first, unit_vectors(1)[0], k=3, scope=Scope.of("default")) == []
    assert target.search(first, unit_vectors(1)[0], k=3, scope=Scope.all_tenants()) == []
    target.upsert(first, batch_of({"id": "a"}))
    target.upsert(second, batch_of({"id": "b"}))
    target.fence(first)
    target.fence(second)
    for _ in range(2):
        target.drop(first)
    assert not target.exists(first)
    assert {key[0] for key in keys_of(target, second)} == {"b"}
    for made in (second, other):
        target.drop(made)
    assert [p.generation.name for p in target.claims(name)] == []


def test_refused_rows_are_named_and_the_others_are_written(
    target: VectorIndex, generation: Generation
) -> None:
    rows = [{"id": f"good {n}"} for n in range(20)]
    rows[3] = {"id": "too long", "text": "ü" * 40_000}
    rows[11] = {"id": "no direction", "vector": np.zeros(DIMENSION, np.float32)}
    rows[12] = {"id": "too short", "vector": unit_vectors(1, 8)[0]}
    expected = {"too long", "too short"}
    if target.backend == "pinecone":
        rows[15] = {"id": "idé"}
        expected |= {"idé", "no direction"}
    with pytest.raises(RowsRejected) as caught:
        target.upsert(generation, batch_of(*rows))
    assert caught.value.reasons.keys() == expected
    assert "bytes" in caught.value.reasons["too long"]
    target.fence(generation)
    assert {key[0] for key in keys_of(target, generation)} == {row["id"] for row in rows} - expected


def test_what_the_platform_did_not_create_is_left_alone(
    target: VectorIndex, server: Server
) -> None:
    mine = Generation(next(_names), "g0001", "tiny-1.0", DIMENSION)
    foreign = replace(mine, name="g0002", model_version="tiny-2.0")
    target.create(mine)
    if server.backend == "milvus":
        name = collection_name(foreign)
        with closing(MilvusClient(server.url)) as client:
            client.create_collection(name, dimension=DIMENSION)
            assert [p.generation.name for p in target.claims(mine.index)] == ["g0001"]
            for refused in (target.create, target.drop, target.exists, target.point):
                with pytest.raises(IndexRejected, match="did not create"):
                    refused(foreign)
            client.create_alias(name, f"{mine.index}_live")
            with pytest.raises(IndexRejected, match="did not create"):
                target.point(mine)
            assert client.describe_alias(f"{mine.index}_live")["collection_name"] == name
            target.drop(mine)
            assert client.has_collection(name)
            client.drop_alias(f"{mine.index}_live")
            client.drop_collection(name)
        return
    client = outside_pinecone(server)
    name = pinecone_index_name(foreign.index, foreign.model_version)
    schema = {"fields": {"v": {"type": "dense_vector", "dimension": 4, "metric": "cosine"}}}
    client.indexes.create(name=name, schema=schema)
    assert [p.generation.name for p in target.claims(mine.index)] == ["g0001"]
    for refused in (target.create, target.drop, target.exists):
        with pytest.raises(IndexRejected, match="did not create it"):
            refused(foreign)
    inside = client.index(pinecone_index_name(mine.index, mine.model_version))
    inside.create_namespace(name="theirs")
    target.upsert(mine, batch_of({"id": "a", "tenant": "acme"}))
    body = {"name": "acme", "target_namespace": "theirs"}
    inside._http.post("/namespace-aliases", json=body)
    with pytest.raises(IndexRejected, match="did not create"):
        target.point(mine)
    target.drop(mine)
    assert [ns.name for page in inside.list_namespaces() for ns in page.namespaces] == ["theirs"]
    client.indexes.delete(name)


def test_a_collection_of_another_model_is_never_taken_for_this_one(target: VectorIndex) -> None:
    made = Generation(next(_names), "g0001", "tiny-1.0", DIMENSION)
    target.create(made)
    with pytest.raises(IndexRejected, match="dimension"):
        target.create(replace(made, dimension=32))
    target.drop(made)


def test_a_reader_outside_follows_the_live_pointer(target: VectorIndex, server: Server) -> None:
    first = Generation(next(_names), "g0001", "tiny-1.0", DIMENSION)
    second = replace(first, name="g0002")
    for made, row in ((first, "old"), (second, "new")):
        target.create(made)
        target.upsert(made, batch_of({"id": row, "tenant": "acme"}))
        target.fence(made)
    target.upsert(
        first, batch_of({"id": "gone", "tenant": "left"}, {"id": "x", "tenant": "no alias"})
    )
    target.fence(first)
    seen = []
    for made in (first, second, second, first):
        target.point(made)
        seen.append(read_through_alias(server, made, "acme"))
    assert seen == [["old"], ["new"], ["new"], ["old"]]
    target.point(second)
    target.drop(first)
    assert read_through_alias(server, second, "acme") == ["new"]
    target.drop(second)


def test_a_generation_that_somebody_removed_is_gone_and_can_be_made_again(
    target: VectorIndex, server: Server
) -> None:
    made = Generation(next(_names), "g0001", "tiny-1.0", DIMENSION)
    target.create(made)
    target.upsert(made, batch_of({"id": "a"}))
    another = open_index(server)
    another.drop(made)
    assert not target.exists(made)
    target.create(made)
    target.upsert(made, batch_of({"id": "b"}))
    target.fence(made)
    assert {key[0] for key in keys_of(target, made)} == {"b"}
    another.drop(made)
    target.drop(made)
    another.close()


def test_a_server_that_is_down_is_unavailable_and_no_secret_is_told(server: Server) -> None:
    nowhere = f"http://127.0.0.1:{free_port()}"
    made = Generation("documents", "g0001", "tiny", DIMENSION)
    with pytest.raises(
        IndexUnavailable, match=re.escape(nowhere.removeprefix("http://"))
    ) as caught:
        open_index(Server(server.backend, nowhere), timeout_seconds=1).exists(made)
    assert API_KEY not in str(caught.value)


def outside_pinecone(server: Server) -> Pinecone:
    return Pinecone(api_key=API_KEY, host=server.url)


def read_through_alias(server: Server, generation: Generation, tenant: str) -> list[str]:
    probe = unit_vectors(1)[0]
    if server.backend == "milvus":
        with closing(MilvusClient(server.url)) as client:
            found = client.search(
                f"{generation.index}_live",
                data=[probe],
                limit=9,
                filter=f'tenant == "{tenant}"',
                consistency_level="Strong",
            )
            return [hit["id"] for hit in found[0]]
    name = pinecone_index_name(generation.index, generation.model_version)
    index = outside_pinecone(server).index(name)
    query = {"type": "dense_vector", "field": "vector", "values": probe.tolist()}
    found = index.documents.search(namespace=tenant, score_by=[query], top_k=9)
    return [match.id for match in found.matches]
