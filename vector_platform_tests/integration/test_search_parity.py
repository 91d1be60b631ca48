"""The same answer from every backend: one searcher, Milvus Lite and the local Pinecone server."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from vector_platform.indexes.contract import Scope, TooManyTenants
from vector_platform.releases.pointer.live import LivePointer
from vector_platform.serving.answers import Answer, UnknownDocument, UnknownTenant
from vector_platform.serving.searcher import Searcher
from vector_platform_tests.integration.conftest import Server, open_index
from vector_platform_tests.lake.building import MODEL, chunk, embed, open_lake, put
from vector_platform_tests.serving.worlds import searcher_of
from vector_platform_tests.syncing import index_sync

pytestmark = pytest.mark.integration

# Names that are one to whoever compares by prefix, case, width or encoding.
TENANTS = ("acme", "Acme", "acme ", "acme@g0001", "acme%20", "ａｃｍｅ", 'acme" or id != "')
ROWS = 6
BACKENDS = ("milvus", "pinecone")


@pytest.fixture(scope="module")
def searcher(
    milvus_server: Server, pinecone_server: Server, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Searcher]:
    folder = tmp_path_factory.mktemp("parity")
    lake = open_lake(folder)
    for at, tenant in enumerate(TENANTS):
        rows = (
            chunk(
                f"s{at}:{n}", f"text {n} of {at}", tenant=tenant, title=f"Title {n}",
                attributes={"n": n, "even": n % 2 == 0, "tags": ["a", f"t{n}"]},
            )
            for n in range(ROWS)
        )  # fmt: skip
        put(lake, *rows)
    put(lake, *(chunk("s0:long", f"part {n}", ordinal=n, tenant="acme") for n in range(3)))
    embed(lake)
    servers = {"milvus": milvus_server, "pinecone": pinecone_server}
    targets = {name: open_index(server) for name, server in servers.items()}
    for name, target in targets.items():
        state = index_sync(lake, target, folder, index="parity").sync(MODEL).generation
        pointer = LivePointer(lake, name, "parity")
        pointer.promote(state, actor="a", reason="r", evidence={}, run_id="r")
    with searcher_of(
        lake,
        targets.__getitem__,
        backends=BACKENDS,
        index="parity",
        attributes={"n", "even", "tags"},
    ) as searcher:
        yield searcher
    for target in targets.values():
        target.close()


def both(searcher: Searcher, **asked: Any) -> tuple[Answer, Answer]:
    milvus, pinecone = (searcher.search(backend=name, **asked) for name in BACKENDS)  # type: ignore[arg-type]
    return milvus, pinecone


QUESTIONS: list[dict[str, Any]] = [
    {"text": "Title 1\ntext 1 of 0"},
    {"text": "anything"},
    {"vector": [1, 2, 3, 4]},
    {"like": "s0:1"},
    {"like": "s0:long"},
]
FILTERS = (
    None,
    {"type": "gte", "key": "n", "value": 3},
    {"type": "not", "filter": {"type": "eq", "key": "even", "value": True}},
    {"type": "in", "key": "tags", "value": ["t1", "t4"]},
)


@pytest.mark.parametrize("asked", QUESTIONS, ids=lambda asked: "-".join(asked))
def test_every_backend_gives_the_same_answer(searcher: Searcher, asked: dict[str, Any]) -> None:
    for where, k in itertools.product(FILTERS, (1, 4, 100)):
        milvus, pinecone = both(searcher, scope=Scope.of("acme"), filter=where, k=k, **asked)
        assert [hit.id for hit in milvus.hits] == [hit.id for hit in pinecone.hits]
        assert milvus.hits or where
        scores, others = ([hit.score for hit in answer.hits] for answer in (milvus, pinecone))
        np.testing.assert_allclose(scores, others, atol=1e-5)
        plain = [[vars(hit) | {"score": 0} for hit in answer.hits] for answer in (milvus, pinecone)]
        assert plain[0] == plain[1]
        assert (milvus.source.snapshot, milvus.source.degraded) == (pinecone.source.snapshot, False)


def test_whatever_tenants_are_named_their_rows_come_and_no_others(searcher: Searcher) -> None:
    for size in (0, 1, 2, len(TENANTS)):
        for named in itertools.islice(itertools.combinations(TENANTS, size), 8):
            for answer in both(searcher, text="x", scope=Scope.of(*named), k=500):
                found = [hit.tenant for hit in answer.hits]
                assert set(found) == set(named)
                assert len(found) == ROWS * size + 3 * ("acme" in named)
    for backend, nobody in itertools.product(BACKENDS, ("acm", "ACME", "*", "acme%2520", "%")):
        with pytest.raises(UnknownTenant):
            searcher.search("x", scope=Scope.of(nobody), backend=backend)  # type: ignore[arg-type]


def test_of_another_tenant_a_document_is_unknown_on_every_backend(searcher: Searcher) -> None:
    for backend in BACKENDS:
        with pytest.raises(UnknownDocument):
            searcher.search(like="s1:1", scope=Scope.of("acme"), backend=backend)  # type: ignore[arg-type]


def test_more_tenants_than_a_backend_is_asked_for_is_an_error_with_the_way_out(
    searcher: Searcher,
) -> None:
    many = Scope.of(*(f"t{n}" for n in range(1001)))
    for backend, way_out in (("milvus", "ask for fewer"), ("pinecone", "search_namespaces")):
        with pytest.raises(TooManyTenants, match=way_out):
            searcher.search("x", scope=many, backend=backend)  # type: ignore[arg-type]


def test_a_context_is_the_same_from_every_backend(searcher: Searcher) -> None:
    found = [
        searcher.context("part 1", scope=Scope.of("acme"), backend=name, budget_tokens=30)  # type: ignore[arg-type]
        for name in BACKENDS
    ]
    assert found[0].text == found[1].text and found[0].left_out == found[1].left_out > 0
