from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from vector_platform.indexes.contract import BoundedHits
from vector_platform.indexes.filtering.conditions import Exists, Not
from vector_platform.lake.rules import hash_text
from vector_platform.releases.pointer.live import NothingLive
from vector_platform.serving.search import BadQuery, SearchService, UnknownTenant
from vector_platform_tests.releases.deployment import Deployment


class Encoder:
    """Remembers who was asked; answers with the vector of a known text."""

    def __init__(self, vector: list[float]) -> None:
        self._vector = vector

    def encode_queries(self, texts: list[str]) -> np.ndarray:
        return np.asarray([self._vector] * len(texts), np.float32)


@pytest.fixture
def world(tmp_path: Path) -> Deployment:
    return Deployment(tmp_path)


def service(world: Deployment, opened: list[str]) -> SearchService:
    def encoder(model: str) -> Encoder:
        opened.append(model)
        wanted = hash_text("text of s:3")
        rows = world.lake.embeddings.read(
            where=[("model_version", "==", model), ("content_hash", "==", wanted)]
        )
        return Encoder(rows.column("vector")[0].as_py())

    return SearchService(world.lake, "documents", open_index=world.target, open_encoder=encoder)


def go_live(world: Deployment, model: str) -> None:
    state = world.sync().sync(model).generation
    world.pointer().promote(state, actor="ann", reason="r", evidence={}, run_id="run")


def test_the_query_is_embedded_by_the_model_that_the_live_generation_names(
    world: Deployment,
) -> None:
    opened: list[str] = []
    for model in ("old.v1", "new.v1"):
        go_live(world, model)
        result = service(world, opened).search("anything", backend="milvus", k=3)
        assert result.model_version == model
        assert result.hits[0].id == "s:3#0"
        assert result.hits[0].score == pytest.approx(1.0, abs=1e-5)
        assert result.snapshot == str(world.lake.snapshot())
    assert opened == ["old.v1", "new.v1"]


def test_a_tenant_sees_its_own_rows_only(world: Deployment) -> None:
    go_live(world, "old.v1")
    search = service(world, []).search
    assert len(search("x", backend="milvus", tenant="acme", k=50).hits) == 12
    with pytest.raises(UnknownTenant, match="tenant 'Acme' has no rows in milvus"):
        search("x", backend="milvus", tenant="Acme", k=50)
    assert search("x", backend="milvus", tenant="acme", k=1).notice == ""


def test_an_answer_that_not_all_tenants_were_asked_for_says_so(
    world: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    go_live(world, "old.v1")
    target = world.target("milvus")
    found = target.search
    monkeypatch.setattr(
        target, "search", lambda *a, **k: BoundedHits(found(*a, **k), asked=2, tenants=5)
    )
    answer = service(world, []).search("x", backend="milvus", k=3)
    assert len(answer.hits) == 3
    assert "only the 2 largest of 5 tenants were asked" in answer.notice
    told = answer.as_json()
    assert (told["tenants_asked"], told["tenants"]) == (2, 5)


def test_a_filter_confines_the_hits_and_says_when_not_every_row_was_looked_at(
    world: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    go_live(world, "old.v1")
    search = service(world, []).search
    hits = search("x", backend="milvus", k=50).hits
    assert len(hits) == 12 and not any(hit.attributes for hit in hits)
    assert search("x", backend="milvus", where=Exists("severity")).hits == []
    assert search("x", backend="milvus", where=Not(Exists("severity")), k=50).hits == hits
    target = world.target("milvus")
    monkeypatch.setattr(target, "search", lambda *a, **k: BoundedHits((), looked_at=16))
    assert "only the 16 nearest rows were looked at" in search("x", backend="milvus").notice


def test_readers_are_told_while_the_live_generation_is_known_to_be_broken(
    world: Deployment,
) -> None:
    go_live(world, "old.v1")
    search = service(world, []).search
    assert search("x", backend="milvus").as_json()["degraded"] is False
    live = world.pointer().live_generation()
    world.target("milvus").rows(live.identity).clear()  # type: ignore[attr-defined]
    world.target("milvus").damaged(live.identity)  # type: ignore[attr-defined]
    assert not world.sync().verify(live).clean
    found = search("x", backend="milvus")
    assert found.degraded and found.doubt is not None and "12 missing" in found.doubt
    assert found.as_json()["degraded"] is True
    world.sync().sync("old.v1")
    found = search("x", backend="milvus")
    assert (found.degraded, len(found.hits)) == (False, 10)


@pytest.mark.parametrize(("text", "k"), [("", 10), ("  ", 10), ("x", 0), ("x", -1), ("x", 1001)])
def test_a_query_that_cannot_be_answered_is_refused(world: Deployment, text: str, k: int) -> None:
    go_live(world, "old.v1")
    with pytest.raises(BadQuery):
        service(world, []).search(text, backend="milvus", k=k)


def test_before_the_first_release_there_is_nothing_to_search(world: Deployment) -> None:
    with pytest.raises(NothingLive):
        service(world, []).search("x", backend="milvus")
