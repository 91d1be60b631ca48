"""Pinecone with many tenants: what they cost, and what is said where some go without."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from vector_platform.indexes.backends.pinecone.names import namespace_name, pinecone_index_name
from vector_platform.indexes.backends.pinecone.settings import PineconeSettings
from vector_platform.indexes.backends.pinecone.terms import INDEX_ALIASES
from vector_platform.indexes.base import VectorIndex
from vector_platform.indexes.contract import (
    BoundedHits,
    Generation,
    IndexRejected,
    IndexUnavailable,
    Mirrored,
    RowKey,
    Scope,
)
from vector_platform.indexes.proof.row_sample import COUNTED_TENANTS
from vector_platform.indexes.sync.applying import FEW_TENANTS
from vector_platform.local.pinecone_server.http.server import PineconeServer
from vector_platform_tests.integration.conftest import API_KEY, Server, open_index
from vector_platform_tests.integration.test_index_adapters import batch_of, unit_vectors
from vector_platform_tests.lake.building import MODEL, chunk, embed, open_lake, put
from vector_platform_tests.syncing import index_sync

pytestmark = pytest.mark.integration

GENERATION = Generation("documents", "g0001", "tiny-1.0", 16)
TENANTS = 30
#: Requests that the cost of a call is made of.
KINDS = ("upsert$", "search$", "fetch$", "list$", "delete$", "update$", "namespaces", "stats$")


@pytest.fixture
def server(tmp_path: Path) -> Iterator[PineconeServer]:
    with PineconeServer(tmp_path, api_key=API_KEY) as running:
        yield running


@pytest.fixture
def index(server: PineconeServer) -> Iterator[VectorIndex]:
    opened = adapter(server)
    opened.create(GENERATION)
    yield opened
    opened.close()


def adapter(server: PineconeServer, **settings: int) -> VectorIndex:
    made = PineconeSettings(**settings)  # type: ignore[arg-type]
    return open_index(Server("pinecone", server.url), pinecone=made)


@contextmanager
def counting(server: PineconeServer) -> Iterator[dict[str, int]]:
    """Requests by kind, while the block runs."""
    server.knobs.configure({"faults": [{"match": kind, "delay_seconds": 0} for kind in KINDS]})
    asked: dict[str, int] = {}
    yield asked
    asked |= {f.match.strip("$"): f.hits for f in server.knobs.faults if f.hits}
    server.knobs.configure({})


def rows(tenants: int, each: int = 1) -> list[RowKey]:
    return [(f"d{n}#{row}", f"tenant {n:04d}") for n in range(tenants) for row in range(each)]


def scanned(index: VectorIndex) -> set[tuple[str, str, str]]:
    return {
        (row["id"], row["tenant"], row["digest"])
        for batch in index.scan(GENERATION)
        for row in batch.to_pylist()
    }


def write(index: VectorIndex, keys: list[RowKey], **fields: str) -> None:
    index.upsert(
        GENERATION, batch_of(*({"id": i, "tenant": tenant, **fields} for i, tenant in keys))
    )


def test_a_tenant_costs_one_request_to_write_one_to_fence_and_one_to_prove(
    server: PineconeServer, index: VectorIndex
) -> None:
    with counting(server) as asked:
        write(index, rows(TENANTS, 4))
    assert asked == {"upsert": TENANTS}
    with counting(server) as asked:
        index.fence(GENERATION, others=False, proof_follows=True)
    assert asked == {"search": TENANTS}
    with counting(server) as asked:
        assert {key[:2] for key in scanned(index)} == set(rows(TENANTS, 4))
    assert asked == {"fetch": TENANTS, "namespaces": 1}  # which show the last write as well
    with counting(server) as asked:
        index.fence(GENERATION, others=False)
    assert asked == {}
    with counting(server) as asked:
        write(index, rows(TENANTS, 4))
        index.fence(GENERATION, others=False)  # as before a delete
    assert asked == {"upsert": TENANTS, "search": TENANTS, "fetch": TENANTS}
    with counting(server) as asked:
        assert index.count(GENERATION) == 4 * TENANTS
        assert index.counts(GENERATION, ["tenant 0000"]) == {"tenant 0000": 4}
        assert index.exists(GENERATION)
    assert asked == {"stats": 2, "fetch": 1, "namespaces": 1}


def test_requests_of_a_build_a_sync_and_a_proof_follow_the_tenants_and_not_the_batches(
    server: PineconeServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tenants, batches = FEW_TENANTS + 6, 7
    texts = {(f"s:{n}", f"tenant {n % tenants}"): f"text {n}" for n in range(3 * tenants)}
    lake, target = open_lake(tmp_path / "lake"), adapter(server)
    put(lake, *(chunk(i, text, tenant=tenant) for (i, tenant), text in texts.items()))
    embed(lake)
    monkeypatch.setattr("vector_platform.indexes.sync.sync.BUILD_ROWS", 3 * tenants // batches)
    sync = index_sync(lake, target, tmp_path, max_delete_share=0.1)
    with counting(server) as asked:
        built = sync.sync(MODEL).generation
    # A batch begins with the tenant that the one before it ends with.
    assert tenants <= asked["upsert"] <= tenants + batches
    assert asked["search"] == tenants
    # What they are and all that they hold in one, and some counts.
    assert asked["fetch"] == tenants + COUNTED_TENANTS
    with counting(server) as asked:
        sync.verify(built)
    assert "upsert" not in asked
    assert asked["fetch"] == tenants + COUNTED_TENANTS
    monkeypatch.setattr("vector_platform.indexes.proof_sample.BROUGHT_BYTES", 0)
    with counting(server) as asked:
        assert sync.verify(built).rows_compared == 3 * tenants
    assert asked["fetch"] == 2 * tenants + COUNTED_TENANTS  # what there is no room for is asked for

    changed = 5
    put(lake, *(chunk(f"s:{n}", f"new {n}", tenant=f"tenant {n}") for n in range(changed)))
    embed(lake)
    with counting(server) as asked:
        assert sync.sync(MODEL).mode == "changes"
    assert (asked["upsert"], asked["search"]) == (changed, changed)
    assert asked["fetch"] == 2 * tenants + changed + COUNTED_TENANTS
    target.close()


def test_a_change_costs_requests_where_it_changes_something_alone(
    server: PineconeServer, index: VectorIndex
) -> None:
    write(index, rows(TENANTS))
    index.fence(GENERATION)
    later = adapter(server)  # another process, which knows that all before it has been fenced
    with counting(server) as asked:
        write(later, rows(2), digest="newer")
        later.fence(GENERATION, others=False)
        later.delete(GENERATION, rows(3)[2:])
        later.fence(GENERATION, others=False)
    assert asked == {"upsert": 2, "search": 3, "delete": 1, "fetch": 3}
    assert {key[2] for key in scanned(later)} == {
        "newer",
        *(f"digest of {row_id}" for row_id, _ in rows(TENANTS)[3:]),
    }
    with counting(server) as asked:
        later.fence(GENERATION)  # and one that does not know it looks at all others once
        later.fence(GENERATION)
    assert (asked["update"], asked["list"]) == (TENANTS - 3, TENANTS - 3)
    later.close()


@pytest.mark.parametrize("what", ["no digest", "an emptied namespace", "one row more than counted"])
def test_a_namespace_whose_count_and_fetch_disagree_is_listed(
    server: PineconeServer, index: VectorIndex, what: str
) -> None:
    write(index, rows(3, 2))
    index.fence(GENERATION)
    client = index._indexes._client  # type: ignore[attr-defined]
    documents = client.index(pinecone_index_name("documents", "tiny-1.0")).documents
    ours = namespace_name("tenant 0001", "g0001")
    expected = {(*key, f"digest of {key[0]}") for key in rows(3, 2)}
    if what == "no digest":
        vector = unit_vectors(1)[0].tolist()
        documents.upsert(namespace=ours, documents=[{"_id": "forged", "vector": vector}])
        documents.update(namespace=ours, documents=[{"_id": "d1#0", "_remove_fields": ["digest"]}])
        expected -= {("d1#0", "tenant 0001", "digest of d1#0")}
        expected |= {("d1#0", "tenant 0001", ""), ("forged", "tenant 0001", "")}
    elif what == "an emptied namespace":
        documents.delete(namespace=ours, ids=["d1#0", "d1#1"])
        expected = {key for key in expected if key[1] != "tenant 0001"}
    else:
        names = index._indexes.open(GENERATION)  # type: ignore[attr-defined]
        counted = names.namespaces
        names.namespaces = lambda: counted() | {ours: 1}  # a count that has not caught up
    with counting(server) as asked:
        assert scanned(index) == expected
    assert ("list" in asked) == (what != "an emptied namespace")


def test_a_list_that_lags_is_waited_for_before_it_is_read(
    server: PineconeServer, index: VectorIndex
) -> None:
    write(index, [("d#0", "a")])
    index.fence(GENERATION)
    index.delete(GENERATION, [("d#0", "a")])
    write(index, [("d#1", "a"), ("d#2", "a")])
    index.fence(GENERATION, others=False)
    with counting(server) as asked:
        for _ in range(2):
            found = [row["id"] for keys in index.keys(GENERATION, "a") for row in keys.to_pylist()]
            assert found == ["d#1", "d#2"]
    assert asked["list"] == 3  # once to see the last write, and twice to read


def test_a_delete_that_leaves_rows_is_an_error_that_names_them(
    server: PineconeServer, index: VectorIndex
) -> None:
    index._fence_seconds = 0.3  # type: ignore[attr-defined]
    write(index, [("kept#0", "a")])
    index.fence(GENERATION)
    server.knobs.configure({"visibility_delay_seconds": {"fetch": 3600}})
    says = r"1 of 2 deleted rows of namespace 'a@g0001' are still there .* 'kept#0'"
    with pytest.raises(IndexUnavailable, match=says):
        index.delete(GENERATION, [("kept#0", "a"), ("gone#0", "a")])


def test_a_search_over_many_tenants_asks_the_largest_and_says_so(
    server: PineconeServer, index: VectorIndex
) -> None:
    write(index, rows(TENANTS))
    write(index, [("more#0", "tenant 0007"), ("more#1", "tenant 0011")])
    index.fence(GENERATION)
    bounded = adapter(server, search_namespaces=2)
    with counting(server) as asked:
        hits = bounded.search(GENERATION, unit_vectors(1)[0], k=50, scope=Scope.all_tenants())
    assert asked == {"search": 2, "stats": 1}
    assert {hit.tenant for hit in hits} == {"tenant 0007", "tenant 0011"}
    assert isinstance(hits, BoundedHits)
    assert (hits.asked, hits.tenants) == (2, TENANTS)
    everybody = index.search(GENERATION, unit_vectors(1)[0], k=50, scope=Scope.all_tenants())
    assert len(everybody) == TENANTS + 2
    assert not isinstance(everybody, BoundedHits)
    assert not isinstance(
        bounded.search(GENERATION, unit_vectors(1)[0], k=5, scope=Scope.of("tenant 0001")),
        BoundedHits,
    )
    with counting(server) as asked:
        named = bounded.search(
            GENERATION, unit_vectors(1)[0], k=9, scope=Scope.of("tenant 0007", "tenant 0011")
        )
    assert asked == {"search": 2}
    assert sorted(hit.tenant for hit in named) == 2 * ["tenant 0007"] + 2 * ["tenant 0011"]
    says = r"names 3 tenants, each a request, and at most 2 are made: .*search_namespaces"
    with pytest.raises(IndexRejected, match=says):
        bounded.search(GENERATION, unit_vectors(1)[0], k=9, scope=Scope.of("a", "b", "c"))
    bounded.close()


def test_tenants_without_an_alias_are_counted_in_the_answer(
    server: PineconeServer, index: VectorIndex
) -> None:
    write(index, [("a#0", "fits"), ("b#0", "does not fit"), ("c#0", "ü")])
    assert index.point(GENERATION) == Mirrored(aliases=1, without=2)
    assert "2 tenants have no alias" in str(index.point(GENERATION))


@pytest.mark.deep
def test_tenants_beyond_the_room_for_aliases_are_counted_in_the_answer(
    server: PineconeServer, index: VectorIndex
) -> None:
    write(index, [(f"d{n}#0", f"t{n:04d}") for n in range(INDEX_ALIASES + 3)])
    for _ in range(2):
        assert index.point(GENERATION) == Mirrored(aliases=INDEX_ALIASES, without=3)
