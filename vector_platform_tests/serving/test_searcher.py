"""The searcher over a real lake with real pointers, and an index in memory."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from vector_platform.indexes.contract import BoundedHits, IndexUnavailable, Scope
from vector_platform.indexes.filtering.conditions import Exists, Not
from vector_platform.releases.pointer.live import NothingLive
from vector_platform.serving.answers import (
    Answer,
    BadQuery,
    TextNotSearchable,
    UnknownDocument,
    UnknownTenant,
)
from vector_platform.serving.embedding import AnotherModel, QueryVectors
from vector_platform.serving.live import STALE_SECONDS, LiveGenerations
from vector_platform.serving.searcher import Searcher
from vector_platform_tests.lake.building import chunk, embed, put
from vector_platform_tests.releases.deployment import MODELS, Deployment
from vector_platform_tests.serving.worlds import KnownModel, go_live, searcher_of

ACME, EVERYBODY = Scope.of("acme"), Scope.all_tenants()
NEVER = 3600.0


@pytest.fixture
def world(tmp_path: Path) -> Deployment:
    return Deployment(tmp_path)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Deployment:
    """One that is live, for tests that change nothing."""
    world = Deployment(tmp_path_factory.mktemp("served"))
    go_live(world)
    return world


def searcher(world: Deployment, **how: Any) -> Searcher:
    """One that looks at the lake when it is told to, so that no test waits."""
    live = LiveGenerations(
        world.lake, "documents", ["milvus"], open_index=world.target, every=NEVER
    )
    return searcher_of(world.lake, world.target, **{"live": live} | how)


def test_the_query_is_embedded_by_the_model_that_the_live_generation_was_built_with(
    world: Deployment,
) -> None:
    go_live(world, MODELS[0])
    with searcher(world) as ask:
        for model in MODELS:
            go_live(world, model)
            ask.live.refresh()
            answer = ask.search("text of s:3", scope=EVERYBODY, k=3)
            assert answer.source.model_version == model
            assert (answer.hits[0].id, answer.source.degraded) == ("s:3#0", False)
            assert answer.hits[0].score == pytest.approx(1.0, abs=1e-5)
            assert answer.source.snapshot == str(world.lake.snapshot())
            assert 0 <= answer.source.age_seconds < STALE_SECONDS


def test_a_model_that_is_another_than_the_rows_answers_nothing(served: Deployment) -> None:
    other = KnownModel("of another time", lambda text: np.eye(4)[0])
    with searcher(served, open_model=lambda _: other) as ask:
        with pytest.raises(AnotherModel, match=r"of another time.*not comparable"):
            ask.search("x", scope=EVERYBODY)
        assert len(ask.search(vector=[1, 0, 0, 0], scope=EVERYBODY).hits) == 10
    assert other.asked == []


def test_where_a_model_embeds_no_text_a_vector_or_a_document_is_asked_with(
    served: Deployment,
) -> None:
    model = KnownModel(served.lake.model_version("old.v1").fingerprint, lambda text: np.eye(4)[0])
    model.problem = "its vectors are given"
    with searcher(served, open_model=lambda _: model) as ask:
        with pytest.raises(TextNotSearchable, match=r"its vectors are given.*with a vector"):
            ask.search("x", scope=EVERYBODY)
        assert ask.search(like="s:1", scope=EVERYBODY).hits
    assert model.asked == []


def test_a_cut_over_is_seen_by_the_thread_that_looks_and_by_no_question(
    world: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    go_live(world, "old.v1")
    pointer, state = world.pointer(), world.sync().sync("new.v1").generation
    live = LiveGenerations(
        world.lake, "documents", ["milvus"], open_index=world.target, every=0.001
    )
    with searcher(world, live=live) as ask:
        assert ask.search("x", scope=EVERYBODY).source.generation == "g0001"
        pointer.promote(state, actor="ann", reason="r", evidence={}, run_id="run")
        asking, moment = threading.get_ident(), threading.Event()
        read = world.lake.releases.read

        def looking(*args: Any, **how: Any) -> Any:
            assert threading.get_ident() != asking
            return read(*args, **how)

        monkeypatch.setattr(world.lake.releases, "read", looking)
        while ask.search("x", scope=EVERYBODY).source.generation == "g0001":
            moment.wait(0.001)
        assert ask.search("x", scope=EVERYBODY).source.model_version == "new.v1"


def test_a_question_to_a_generation_that_is_gone_is_answered_by_the_one_that_is_live(
    world: Deployment,
) -> None:
    go_live(world, "old.v1")
    with searcher(world) as ask:
        assert ask.search("x", scope=ACME).source.generation == "g0001"
        go_live(world, "new.v1")
        found = world.target()._search

        def gone(generation: Any, *args: Any, **how: Any) -> Any:
            if generation.name == "g0001":
                raise IndexUnavailable("collection not found")
            return found(generation, *args, **how)

        world.target()._search = gone  # type: ignore[method-assign]
        answer = ask.search("x", scope=ACME)
        assert (answer.source.generation, len(answer.hits)) == ("g0002", 10)


def test_what_cannot_be_read_again_goes_on_being_served_and_says_since_when(
    world: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    go_live(world)
    now = [100.0]
    live = LiveGenerations(
        world.lake,
        "documents",
        ["milvus"],
        open_index=world.target,
        every=0.001,
        clock=lambda: now[0],
    )
    with searcher(world, live=live) as ask:
        assert not ask.search("x", scope=ACME).source.degraded
        failed = threading.Event()

        def broken() -> Any:
            failed.set()
            raise OSError(5, "the disk is gone")

        monkeypatch.setattr(world.lake.releases, "identity", broken)
        assert failed.wait(30)
        now[0] += STALE_SECONDS + 2
        failed.clear()
        assert failed.wait(30)
        answer = ask.search("x", scope=ACME)
        assert (len(answer.hits), answer.source.age_seconds) == (10, STALE_SECONDS + 2)
        assert "was last read 7 seconds ago" in str(answer.source.doubt)
        assert "the disk is gone" in str(answer.source.doubt)
        monkeypatch.undo()
        ask.live.refresh()
        assert not ask.search("x", scope=ACME).source.degraded


def test_a_tenant_sees_its_own_rows_only(world: Deployment) -> None:
    put(world.lake, *(chunk(f"s:z{n}", f"z {n}", tenant="zeta") for n in range(5)))
    embed(world.lake, "old.v1")
    go_live(world)
    with searcher(world) as ask:
        for scope, rows in ((ACME, 12), (Scope.of("zeta"), 5), (Scope.of("acme", "zeta"), 17)):
            hits = ask.search("x", scope=scope, k=50).hits
            assert len(hits) == rows and {hit.tenant for hit in hits} == scope.tenants
        with pytest.raises(UnknownTenant, match="is of tenant Acme"):
            ask.search("x", scope=Scope.of("Acme"))
        assert ask.search("x", scope=Scope.of()).hits == ()
        for hidden in ("s:z1", "s:none"):
            with pytest.raises(UnknownDocument, match=f"no document has the id '{hidden}'"):
                ask.search(like=hidden, scope=ACME)
        assert ask.search(like="s:z1", scope=Scope.of("zeta")).hits[0].tenant == "zeta"


def test_rows_of_others_that_an_index_finds_are_withheld_and_the_answer_says_so(
    world: Deployment,
) -> None:
    go_live(world)
    target, live = world.target(), world.pointer().live_generation().identity
    found = target._search

    def careless(*args: Any, **how: Any) -> Any:
        return found(*args, **how | {"scope": EVERYBODY})

    with searcher(world) as ask:
        rows = target.rows(live)
        for n in range(3):
            rows["zeta", f"s:{n}#0"] = rows.pop(("acme", f"s:{n}#0"))
        target.damaged(live)
        target._search = careless  # type: ignore[method-assign]
        answer = ask.search("x", scope=ACME, k=50)
        assert (len(answer.hits), answer.source.degraded) == (9, True)
        assert "withheld" in str(answer.source.doubt) and "zeta" not in str(answer.as_json())


def test_more_like_a_document_is_without_the_document(world: Deployment) -> None:
    put(world.lake, *(chunk("s:long", f"part {n}", ordinal=n) for n in range(4)))
    embed(world.lake, "old.v1")
    go_live(world)
    with searcher(world) as ask:
        hits = ask.search(like="s:long", scope=ACME, k=12).hits
        assert len(hits) == 12 and "s:long" not in {hit.doc_id for hit in hits}


def test_texts_are_remembered_for_their_tenant_and_model_alone(served: Deployment) -> None:
    model = KnownModel(served.lake.model_version("old.v1").fingerprint, lambda text: np.eye(4)[0])
    live = served.pointer().live_generation()
    vectors = QueryVectors(lambda _: model, most=2)
    for scope in (ACME, ACME, Scope.of("zeta"), EVERYBODY, Scope.of("zeta")):
        vectors.of("x", live, scope=scope)
    assert model.asked == ["x"] * 3
    vectors.of("x", live, scope=ACME)  # the one that was not asked for longest is forgotten
    assert model.asked == ["x"] * 4


def test_threads_share_a_searcher_and_each_gets_its_own_answer(served: Deployment) -> None:
    with searcher(served) as ask, ThreadPoolExecutor(8) as threads:

        def one(number: int) -> bool:
            wanted = f"s:{number % 12}"
            return ask.search(f"text of {wanted}", scope=ACME, k=1).hits[0].doc_id == wanted

        assert all(threads.map(one, range(300)))

        async def several() -> list[Answer]:
            asked = (ask.asearch(f"text of s:{n}", scope=ACME, k=1) for n in range(12))
            return await asyncio.gather(*asked)

        answers = asyncio.run(several())
        assert [answer.hits[0].doc_id for answer in answers] == [f"s:{n}" for n in range(12)]


def test_an_answer_that_not_all_rows_were_looked_at_for_says_so(
    served: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    target, found = served.target(), served.target().search
    with searcher(served) as ask:
        monkeypatch.setattr(
            target, "search", lambda *a, **k: BoundedHits(found(*a, **k), asked=2, tenants=5)
        )
        told = ask.search("x", scope=EVERYBODY, k=3).as_json()
        assert "only the 2 largest of 5 tenants were asked" in told["notice"]
        assert (told["tenants_asked"], told["tenants"], len(told["hits"])) == (2, 5, 3)
        monkeypatch.setattr(
            target, "search", lambda *a, **k: BoundedHits(found(*a, **k), looked_at=16)
        )
        told = ask.search("x", scope=EVERYBODY).as_json(include=("title",))
        assert "only the 16 nearest rows were looked at" in told["notice"]
        assert set(told["hits"][0]) == {"id", "score", "tenant", "doc_id", "title"}


def test_a_filter_is_a_condition_or_its_json_and_names_the_place_that_is_wrong(
    served: Deployment,
) -> None:
    with searcher(served, attributes={"severity"}) as ask:
        exists = {"type": "exists", "key": "severity"}
        assert ask.search("x", scope=ACME, filter=exists).hits == ()
        assert ask.search("x", scope=ACME, filter=Exists("severity")).hits == ()
        assert len(ask.search("x", scope=ACME, filter=Not(Exists("severity")), k=50).hits) == 12
        with pytest.raises(BadQuery, match="did you mean 'severity'") as caught:
            ask.search("x", scope=ACME, filter={"type": "exists", "key": "severty"})
        assert caught.value.param == "filter.key"


def test_readers_are_told_while_the_live_generation_is_known_to_be_broken(
    world: Deployment,
) -> None:
    go_live(world)
    live = world.pointer().live_generation()
    with searcher(world) as ask:
        assert ask.search("x", scope=ACME).as_json()["degraded"] is False
        world.target().rows(live.identity).clear()
        world.target().damaged(live.identity)
        assert not world.sync().verify(live).clean
        ask.live.refresh()
        found = ask.search("x", scope=EVERYBODY)
        assert "12 missing" in str(found.source.doubt)
        assert found.as_json()["degraded"] is True
        world.sync().sync("old.v1")
        ask.live.refresh()
        found = ask.search("x", scope=EVERYBODY)
        assert (found.source.degraded, len(found.hits)) == (False, 10)


BAD: list[tuple[dict[str, Any], str]] = [
    ({"text": ""}, "text"),
    ({"text": " \n"}, "text"),
    ({"text": "x" * 16_385}, "text"),
    ({"text": "\udcff"}, "text"),
    ({}, "text"),
    ({"text": "x", "like": "s:1"}, "like"),
    ({"text": "x", "k": 0}, "k"),
    ({"text": "x", "k": -1}, "k"),
    ({"text": "x", "k": 1001}, "k"),
    ({"text": "x", "k": True}, "k"),
    ({"text": "x", "backend": "nobody"}, "backend"),
    ({"text": "x", "scope": Scope.of("")}, "tenants"),
    ({"text": "x", "scope": Scope.of("a\n")}, "tenants"),
    ({"text": "x", "scope": Scope.of("t" * 129)}, "tenants"),
    ({"vector": [1, 0, 0]}, "vector"),
    ({"vector": [1, 0, 0, float("nan")]}, "vector[3]"),
    ({"vector": [1, 1e39, 0, 0]}, "vector[1]"),
    ({"vector": [0, 0, 0, 0]}, "vector"),
    ({"vector": [[1, 0, 0, 0]]}, "vector"),
    ({"vector": ["a", 0, 0, 0]}, "vector"),
    ({"text": "x", "filter": {"type": "no"}}, "filter.type"),
]


@pytest.mark.parametrize(("asked", "param"), BAD, ids=[f"{n}-{p}" for n, (_, p) in enumerate(BAD)])
def test_a_question_that_cannot_be_answered_is_refused_by_its_field(
    served: Deployment, asked: dict[str, Any], param: str
) -> None:
    with searcher(served) as ask, pytest.raises(BadQuery) as caught:
        ask.search(**{"scope": ACME} | asked)
    assert caught.value.param == param
    assert len(str(caught.value)) < 300


def test_before_the_first_release_there_is_nothing_to_search(world: Deployment) -> None:
    with searcher(world) as ask, pytest.raises(NothingLive, match="vector-platform run"):
        ask.search("x", scope=ACME)
