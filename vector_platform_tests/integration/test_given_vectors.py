"""A user's life with vectors of their own: landed, copied, indexed, searched, refused by name.

The tests of this file are one story on one deployment, told in their order. The settings are those
of the page `docs/own-model.md`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import date
from functools import partial
from typing import Any

import numpy as np
import pytest

from vector_platform import notebook
from vector_platform.indexes.contract import Scope
from vector_platform.orchestration.launch import RunFailed
from vector_platform.orchestration.models.assets import embed
from vector_platform.serving.answers import BadQuery, TextNotSearchable
from vector_platform_tests.integration.deployments import (
    BACKENDS,
    STATIC,
    WORDS,
    Deployment,
    running,
)
from vector_platform_tests.own_models import settings_below

pytestmark = [pytest.mark.deep, pytest.mark.integration]

MONDAY, TUESDAY, WEDNESDAY = (date(2026, 1, day) for day in (5, 6, 7))
MINE = "mine.v1"
ABSTRACTS = {
    "p1": "Bees find their way back to the hive by the position of the sun.",
    "p2": "The coolant pump of the engine fails when it overheats.",
    "p3": "Old bridges are inspected for cracks in the steel.",
    "p4": "Copper became dear because two mines stopped production.",
}


def vectors_of(home: Deployment, texts: list[str]) -> np.ndarray:
    return home.platform.embedder(WORDS).encode_documents(texts)


def write(home: Deployment, rows: list[dict[str, Any]]) -> None:
    lines = "".join(json.dumps(row) + "\n" for row in rows)
    (home.root / "papers.jsonl").write_text(lines, encoding="utf-8")


def papers(home: Deployment, **changes: str) -> list[dict[str, Any]]:
    texts = ABSTRACTS | changes
    made = vectors_of(home, list(texts.values()))
    return [
        {"id": key, "abstract": text, "embedding": vector.tolist()}
        for (key, text), vector in zip(texts.items(), made, strict=True)
    ]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    root = tmp_path_factory.mktemp("given")
    described = settings_below("Vectors that you bring yourself")
    del described["models"][MINE]["given"]["query_model"]
    with running(root, **described) as deployment:
        write(deployment, papers(deployment))
        yield deployment


def test_rows_with_vectors_are_indexed_as_they_are_and_not_cut(home: Deployment) -> None:
    stages = home.converge(MONDAY)
    assert not [check for stage in stages.values() for check in stage.failed_checks]
    facts = home.facts(stages[f"embeddings and indexes {MINE}"], "lake/embeddings")
    assert (facts["vectors_copied"], facts["vectors_compared"]) == (4, 0)
    lake = home.platform.lake
    stored = {
        row["content_hash"]: np.array(row["vector"], np.float32)
        for row in lake.embeddings.read().to_pylist()
    }
    chunks = lake.chunks.read().to_pylist()
    assert {row["chunk_id"] for row in chunks} == {f"papers:{key}#0" for key in ABSTRACTS}
    made = vectors_of(home, list(ABSTRACTS.values()))
    for text, vector in zip(ABSTRACTS.values(), made, strict=True):
        (row,) = [row for row in chunks if row["text"] == text]
        assert np.array_equal(stored[row["content_hash"]], vector)
    for backend in BACKENDS:
        assert home.stored(backend, MINE) == home.desired(MINE)
        assert home.live(backend) == MINE
    assert home.cli("index", "verify").code == 0


def test_a_text_is_refused_with_the_way_out_and_a_vector_is_answered(home: Deployment) -> None:
    search = partial(home.searcher.search, scope=Scope.all_tenants())
    (asked,) = vectors_of(home, ["where do bees fly"])
    for backend in BACKENDS:
        with pytest.raises(TextNotSearchable, match=r"models\.mine\.v1\.given\.query_model"):
            search("where do bees fly", backend=backend)
        found = search(vector=3 * asked, backend=backend)
        assert found.hits[0].doc_id == "papers:p1"
        with pytest.raises(BadQuery, match="has 2 numbers"):
            search(vector=[0.6, 0.8], backend=backend)
    refused = home.cli("search", "where do bees fly")
    assert refused.code != 0 and "query_model" in refused.err
    hits = notebook.Platform(home.file).search(vector=asked.tolist(), k=1)
    assert list(hits["doc_id"]) == ["papers:p1"]


def test_a_query_model_that_makes_the_vectors_opens_the_search_by_text(home: Deployment) -> None:
    home.described = settings_below("Vectors that you bring yourself") | {
        "start_date": "2026-01-01"
    }
    home.save()
    search = partial(home.searcher.search, scope=Scope.all_tenants())
    with pytest.raises(TextNotSearchable, match="has not been compared"):
        search("where do bees fly", backend="milvus")
    facts = embed(home.platform, MINE, "compare", lambda line: None).facts
    assert facts["searched_by_text"] == 1 and facts["query_model_least_cosine"] > 0.9999
    for backend in BACKENDS:
        found = search("where do bees fly", backend=backend)
        assert found.hits[0].doc_id == "papers:p1"


def test_another_vector_for_a_known_text_is_an_error_that_names_the_document(
    home: Deployment,
) -> None:
    rows = papers(home)
    rows[0]["embedding"] = rows[1]["embedding"]
    write(home, rows)
    before = home.platform.lake.embeddings.version()
    for _ in range(2):
        with pytest.raises(RunFailed, match="document papers:p1: its vector is not that of the la"):
            home.converge(TUESDAY)
    assert home.platform.lake.embeddings.version() == before
    write(home, papers(home, p1="Bees follow the sun, also in winter."))
    stages = home.converge(WEDNESDAY)
    facts = home.facts(stages[f"embeddings and indexes {MINE}"], "lake/embeddings")
    assert facts["vectors_copied"] == 1
    for backend in BACKENDS:
        assert home.stored(backend, MINE) == home.desired(MINE)


def test_a_model_beside_it_embeds_the_texts_and_is_compared_by_stored_vectors(
    home: Deployment,
) -> None:
    home.described["models"][WORDS] = STATIC
    home.save()
    home.converge(WEDNESDAY)
    for backend in BACKENDS:
        assert home.stored(backend, WORDS) == home.desired(WORDS)
    rows = home.platform.lake.embeddings.read(["model_version"]).column(0).to_pylist()
    assert rows.count(WORDS) == 4
