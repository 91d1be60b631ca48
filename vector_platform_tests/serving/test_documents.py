"""Documents by their id, over a real lake and two indexes in memory."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from vector_platform.indexes.contract import IndexUnavailable, Scope
from vector_platform.serving.answers import BadQuery, UnknownDocument
from vector_platform.serving.searcher import Searcher
from vector_platform_tests.lake.building import chunk, put
from vector_platform_tests.releases.deployment import Deployment
from vector_platform_tests.serving.worlds import searcher_of, with_documents

ACME, ZETA = Scope.of("acme"), Scope.of("zeta")
BACKENDS = ("milvus", "pinecone")


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Deployment:
    world = Deployment(tmp_path_factory.mktemp("documents"))
    put(world.lake, *(chunk("s:long", f"part {n}", ordinal=n, title="Long") for n in range(3)))
    with_documents(world, "s:long")
    for backend, model in (("milvus", "old.v1"), ("milvus", "new.v1"), ("pinecone", "old.v1")):
        state = world.sync(backend).sync(model).generation
        if model == "old.v1":
            world.pointer(backend).promote(state, actor="a", reason="r", evidence={}, run_id="r")
    return world


@pytest.fixture(scope="module")
def ask(world: Deployment) -> Iterator[Searcher]:
    with searcher_of(world.lake, world.target, backends=BACKENDS) as searcher:
        yield searcher


def test_a_document_says_where_it_comes_from_and_all_that_holds_it(
    world: Deployment, ask: Searcher
) -> None:
    found = ask.document("s:long", scope=ACME)
    assert (found.source, found.key, found.uri) == ("s", "long", "file:///rows/long")
    assert (found.row_hash, found.run_id, found.body) == ("hash of long", "run 1", "body of s:long")
    assert found.attributes == {"severity": "high"}
    assert found.snapshot == str(world.lake.snapshot())
    assert [(one.id, one.text) for one in found.chunks] == [
        (f"s:long#{n}", f"part {n}") for n in range(3)
    ]
    assert {one.models for one in found.chunks} == {("new.v1", "old.v1")}
    assert [
        (i.backend, i.generation, i.model_version, i.live, i.chunks) for i in found.indexes
    ] == [
        ("milvus", "g0001", "old.v1", True, 3),
        ("milvus", "g0002", "new.v1", False, 3),
        ("pinecone", "g0001", "old.v1", True, 3),
    ]
    assert found.as_json()["indexes"][0]["snapshot"] == found.snapshot


def test_a_backend_that_does_not_answer_hides_nothing_of_the_others(
    world: Deployment, ask: Searcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    def dead(*_: Any) -> Any:
        raise IndexUnavailable("no answer")

    monkeypatch.setattr(world.target("pinecone"), "find", dead)
    held = ask.document("s:long", scope=ACME).indexes
    assert [one.chunks for one in held] == [3, 3, None]
    assert held[-1].problem == "IndexUnavailable: no answer"


@pytest.mark.parametrize("doc_id", ["s:theirs", "s:nobody", "", "' OR 1=1 --", "s:long#0"])
def test_a_document_of_another_tenant_is_as_unknown_as_one_that_is_not_there(
    ask: Searcher, doc_id: str
) -> None:
    for look in (ask.document, lambda one, scope: ask.search(like=one, scope=scope)):
        with pytest.raises(UnknownDocument) as caught:
            look(doc_id, scope=ACME)  # type: ignore[operator]
        assert str(caught.value) == f"no document has the id {doc_id!r}"
    with pytest.raises(UnknownDocument):
        ask.document("s:long", scope=Scope.of())


def test_pages_of_documents_are_of_the_scope_alone(ask: Searcher) -> None:
    first, more = ask.documents.page(scope=ACME, after=None, most=5)
    assert more and len(first) == 5
    rest, more = ask.documents.page(scope=ACME, after=first[-1]["doc_id"], most=50)
    assert not more and len(first) + len(rest) == 13
    assert {row["tenant"] for row in (*first, *rest)} == {"acme"}
    assert ask.documents.page(scope=Scope.of(), after=None, most=5) == ([], False)
    [theirs], _ = ask.documents.page(scope=ZETA, after=None, most=5)
    assert theirs["doc_id"] == "s:theirs"


def test_a_context_is_of_the_scope_within_its_budget_and_cited(ask: Searcher) -> None:
    found = ask.context("Long\npart 1", scope=ACME, k=15, budget_tokens=20)
    assert 0 < found.tokens <= 20 and found.left_out > 0
    assert found.citations[0].doc_id == "s:long"
    assert {one.tenant for one in found.citations} == {"acme"}
    told = found.as_json()
    assert told["generation"] == "g0001" and told["text"].startswith("[1] Long\n")
    for budget in (0, -1, 32_001):
        with pytest.raises(BadQuery, match="the budget is"):
            ask.context("x", scope=ACME, budget_tokens=budget)


def test_an_empty_deployment_knows_no_document(tmp_path: Path) -> None:
    from vector_platform_tests.lake.building import open_lake

    with (
        searcher_of(open_lake(tmp_path), lambda _: None, backends=BACKENDS) as empty,
        pytest.raises(UnknownDocument),
    ):
        empty.document("s:1", scope=Scope.all_tenants())
