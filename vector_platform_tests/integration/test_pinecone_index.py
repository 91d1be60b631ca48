"""What only Pinecone has: writes that are acknowledged before anybody sees them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from pinecone import Pinecone

from vector_platform.indexes.backends.pinecone.names import namespace_name, pinecone_index_name
from vector_platform.indexes.base import VectorIndex
from vector_platform.indexes.contract import Generation, IndexUnavailable, Scope
from vector_platform.indexes.proof_sample import EVERY_DIGEST, ProofSample
from vector_platform.local.pinecone_server.http.server import PineconeServer
from vector_platform_tests.integration.conftest import API_KEY, Server, open_index
from vector_platform_tests.integration.test_index_adapters import batch_of, keys_of, unit_vectors

pytestmark = pytest.mark.integration

GENERATION = Generation("documents", "g0001", "tiny-1.0", 16)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[PineconeServer]:
    with PineconeServer(tmp_path, api_key=API_KEY) as running:
        yield running


def delay(server: PineconeServer, *, search: float, fetch: float) -> None:
    """Hide writes for so many seconds, in indexes created from now on."""
    delays = {"search": search, "fetch": fetch}
    server._catalog._delay = lambda kind: delays[kind]


def adapter(server: PineconeServer) -> VectorIndex:
    return open_index(Server("pinecone", server.url))


def ids_searched(index: VectorIndex) -> set[str]:
    return {
        hit.id
        for hit in index.search(GENERATION, unit_vectors(1)[0], k=50, scope=Scope.all_tenants())
    }


@pytest.mark.parametrize("lag", [{"search": 0.5, "fetch": 0.0}, {"search": 0.0, "fetch": 0.5}])
def test_a_fence_shows_what_the_same_process_wrote(
    server: PineconeServer, lag: dict[str, float]
) -> None:
    delay(server, **lag)
    index, reader = adapter(server), adapter(server)  # a reader waits for nothing by itself
    index.create(GENERATION)
    index.upsert(GENERATION, batch_of({"id": "a"}, {"id": "b"}, {"id": "c", "tenant": "other"}))
    assert not (
        ids_searched(reader) == {"a", "b", "c"} == {k[0] for k in keys_of(reader, GENERATION)}
    )
    index.fence(GENERATION)
    assert ids_searched(reader) == {"a", "b", "c"}
    assert {key[0] for key in keys_of(reader, GENERATION)} == {"a", "b", "c"}
    index.delete(GENERATION, [("a", "default")])
    index.delete(GENERATION, [("c", "other")])
    index.upsert(GENERATION, batch_of({"id": "b", "digest": "newer"}))
    index.fence(GENERATION)
    assert ids_searched(reader) == {"b"}
    assert keys_of(reader, GENERATION) == {("b", "default", "newer")}
    index.close()
    reader.close()


@pytest.mark.parametrize("read", ["scan", "find", "find another", "keys", "vectors", "counts"])
def test_a_read_after_a_fence_that_leaves_fetches_to_it_shows_what_the_same_process_wrote(
    server: PineconeServer, read: str
) -> None:
    delay(server, search=0.0, fetch=0.5)
    index = adapter(server)
    index.create(GENERATION)
    index.upsert(GENERATION, batch_of({"id": "a"}, {"id": "b"}))
    index.fence(GENERATION, proof_follows=True)
    assert ids_searched(index) == {"a", "b"}
    asked = [("a" if read == "find another" else "b", "default")]
    found: object
    if read == "counts":
        found, shown = index.counts(GENERATION, ["default"]), {"default": 2}
    elif read == "vectors":
        found, shown = list(index.whole_rows(GENERATION, asked)), asked
    else:
        batches = {
            "scan": lambda: index.scan(GENERATION),
            "keys": lambda: index.keys(GENERATION, "default"),
        }.get(read, lambda: index.find(GENERATION, asked))()
        found = {row["id"] for keys in batches for row in keys.to_pylist()}
        shown = {"a", "b"} if read in ("scan", "keys") else {asked[0][0]}
    assert found == shown
    index.close()


@pytest.mark.parametrize("lag", [{"search": 0.5, "fetch": 0.0}, {"search": 0.0, "fetch": 0.5}])
def test_a_fence_of_a_new_process_shows_what_an_earlier_one_wrote(
    server: PineconeServer, lag: dict[str, float]
) -> None:
    delay(server, **lag)
    before = adapter(server)
    before.create(GENERATION)
    before.upsert(GENERATION, batch_of({"id": "a", "tenant": "emptied"}, {"id": "b"}))
    before.fence(GENERATION)
    before.close()
    killed = adapter(server)
    killed.upsert(GENERATION, batch_of({"id": "b", "digest": "newer"}, {"id": "c"}))
    killed.delete(GENERATION, [("a", "emptied")])
    fresh = adapter(server)
    fresh.fence(GENERATION)  # while nothing of it shows yet
    assert ids_searched(fresh) == {"b", "c"}
    assert keys_of(fresh, GENERATION) == {
        ("b", "default", "newer"),
        ("c", "default", "digest of c"),
    }
    assert fresh.count(GENERATION) == 2
    fresh.close()
    killed.close()


def test_a_fence_gives_up_in_bounded_time(server: PineconeServer) -> None:
    delay(server, search=0.0, fetch=3600.0)
    index = adapter(server)
    index._fence_seconds = 0.2  # type: ignore[attr-defined]
    index.create(GENERATION)
    index.upsert(GENERATION, batch_of({"id": "a"}))
    with pytest.raises(IndexUnavailable, match="fetches of namespace 'default@g0001'"):
        index.fence(GENERATION)
    index.close()


def test_only_the_digests_of_a_sample_are_fetched_and_all_ids_are_listed(
    server: PineconeServer,
) -> None:
    index = adapter(server)
    index.create(GENERATION)
    index.upsert(GENERATION, batch_of(*({"id": f"d{n}#0"} for n in range(300))))
    index.fence(GENERATION)
    for sample in (ProofSample(0.2, 3), ProofSample(0), EVERY_DIGEST):
        found = index.keys(GENERATION, "default", sample=sample)
        rows = [row for keys in found for row in keys.to_pylist()]
        assert {row["id"] for row in rows} == {f"d{n}#0" for n in range(300)}
        for row in rows:
            read = f"digest of {row['id']}" if sample.has(row["id"]) else None
            assert row["digest"] == read
    index.close()


def test_a_row_in_a_namespace_of_another_tenant_is_that_tenants_and_differs(
    server: PineconeServer,
) -> None:
    index = adapter(server)
    index.create(GENERATION)
    index.upsert(GENERATION, batch_of({"id": "a"}, {"id": "b"}, {"id": "c", "tenant": "other"}))
    index.fence(GENERATION)
    with closing(Pinecone(api_key=API_KEY, host=server.url)) as client:
        documents = client.index(pinecone_index_name("documents", "tiny-1.0")).documents
        ours, theirs = (namespace_name(tenant, "g0001") for tenant in ("default", "other"))
        row = documents.fetch(namespace=ours, ids=["a"]).documents["a"].to_dict()
        documents.upsert(namespace=theirs, documents=[row])
        documents.update(namespace=ours, documents=[{"_id": "b", "tenant": "other"}])
    assert keys_of(adapter(server), GENERATION) == {
        ("a", "default", "digest of a"),
        ("b", "default", ""),
        ("a", "other", ""),
        ("c", "other", "digest of c"),
    }
    index.close()
