"""What can, and what cannot, be measured and released of a version whose vectors are given."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from vector_platform.errors import TerminalError
from vector_platform.lake.contract import GOLDEN_QUERIES, canonical_json, hash_text
from vector_platform.models.errors import ModelError
from vector_platform.models.given.version import GivenEmbedder
from vector_platform.orchestration.models.assets import embed, sketch
from vector_platform.orchestration.models.checks import _nobody_answers
from vector_platform.orchestration.models.jobs import make_alignment, workshop
from vector_platform.releases.evaluation.measuring import collect
from vector_platform.releases.gates.gates import judge
from vector_platform.training.reembedding import name_anew
from vector_platform.training.workshop import CannotBeMade
from vector_platform_tests.lake import building
from vector_platform_tests.orchestration.harness import STATIC, MemoryPlatform, settings_of
from vector_platform_tests.sources.landings import land_rows

pytestmark = pytest.mark.deep

MINE, WORDS, OTHER = "mine.v1", "words.v1", "other.v1"
TEXTS = [f"The {what} of house {n} is closed." for n in range(4) for what in ("lift", "bar", "gym")]
NOW = datetime(2026, 1, 9, tzinfo=UTC)


def settings(folder: Path, **given: Any) -> Any:
    fields = {"key": "id", "text": "text", "vectors": {MINE: "v"}}
    return settings_of(
        folder,
        sources={"papers": {"kind": "frame", "fields": fields}},
        models={
            MINE: {"given": {"dimensions": 256, **given}},
            WORDS: STATIC,
            OTHER: STATIC | {"max_tokens": 16},
        },
        golden_queries={"g": {"source": "papers", "kind": "beir", "path": "golden"}},
    )


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> MemoryPlatform:
    """Landed papers under a given and an own model version, indexed, and golden queries."""
    folder = tmp_path_factory.mktemp("given")
    platform = MemoryPlatform(settings(folder))
    lake = platform.lake = building.open_lake(folder / "lake")
    made = platform.embedder(WORDS).encode_documents(TEXTS)
    rows = [
        {"id": f"p{n}", "text": text, "v": vector.tolist()}
        for n, (text, vector) in enumerate(zip(TEXTS, made, strict=True))
    ]
    columns = platform.vector_columns("papers")
    land_rows(lake, rows, name="papers", vectors=columns)
    building.put(
        lake,
        *(
            building.chunk(f"papers:{row['id']}", row["text"])
            | {"row_hash": hash_text(canonical_json(row))}
            for row in rows
        ),
    )
    lake.golden_queries.replace(
        pa.Table.from_pylist(
            [
                {
                    "set_name": "g",
                    "query_id": f"q{n}",
                    "text": text,
                    "doc_id": f"papers:p{n}",
                    "gain": 1,
                    "tenant": None,
                    "provenance": "test",
                }
                for n, text in enumerate(TEXTS)
            ],
            schema=GOLDEN_QUERIES.schema,
        )
    )
    for name in (MINE, WORDS):
        embed(platform, name, "run", lambda line: None)
        platform.index_sync("milvus", run_id="run").sync(name)
    return platform


def state(platform: MemoryPlatform, name: str) -> Any:
    found = platform.index_sync("milvus", run_id="run").states.newest(name)
    assert found is not None
    return found


def test_a_release_beside_it_is_measured_by_stored_vectors_and_left_to_a_person(
    platform: MemoryPlatform,
) -> None:
    asked = {name: platform.probes(name) for name in (MINE, WORDS)}
    assert [one.query_id for one in asked[MINE]] == [one.query_id for one in asked[WORDS]]
    assert {one.text for one in asked[MINE]} == set(TEXTS)
    mine, words = state(platform, MINE), state(platform, WORDS)
    assert set(platform.recall_queries(mine, mine.snapshot).texts) == {""}
    assert set(platform.recall_queries(words, words.snapshot).texts) > {""}
    context = platform.release_service("milvus", run_id="run").context
    policy = platform.settings.releases
    for one, live, quality in (
        (mine, None, "pass"),
        (mine, words, "undecided"),
        (words, mine, "undecided"),
    ):
        report = judge(collect(context, one, live, now=NOW), policy, moment=NOW)
        outcomes = {gate.name: gate.outcome for gate in report.gates}
        assert (outcomes["verify"], outcomes["recall"]) == ("pass", "pass")
        assert outcomes["quality"] == quality


def test_its_canary_check_says_that_nobody_answers_and_what_was_compared(
    platform: MemoryPlatform, tmp_path: Path
) -> None:
    given = platform.embedder(MINE)
    assert isinstance(given, GivenEmbedder)
    said = _nobody_answers(platform, given)
    diagnosis = str(said.metadata["diagnosis"].value)
    assert said.passed and diagnosis.startswith("Not measured: the vectors are given")
    assert "given.query_model" in diagnosis
    named = MemoryPlatform(settings(tmp_path, query_model=WORDS))
    named.lake = platform.lake
    embed(named, MINE, "again", lambda line: None)
    opened = named.embedder(MINE)
    assert isinstance(opened, GivenEmbedder)
    said = _nobody_answers(named, opened)
    assert said.metadata["searched_by_text"].value == 1
    assert np.allclose(
        opened.encode_queries(TEXTS[:1]), named.embedder(WORDS).encode_queries(TEXTS[:1])
    )
    # Now golden queries are asked of both.
    assert {one.query_id for one in named.probes(MINE)} == {f"g/q{n}" for n in range(len(TEXTS))}


def test_no_other_version_is_made_from_it_and_its_drift_is_measured(
    platform: MemoryPlatform,
) -> None:
    def refused(make: Any) -> None:
        with pytest.raises((CannotBeMade, ModelError), match=f"{MINE}.* given") as found:
            make()
        assert isinstance(found.value, TerminalError)

    for old, new in ((MINE, WORDS), (WORDS, MINE)):
        refused(lambda old=old, new=new: make_alignment(platform, old, new, "r", print))
    with workshop(platform) as shop:
        refused(lambda: name_anew(shop, MINE))
    versions = platform.lake.versions_by_day()
    assert "sketched_rows" in sketch(platform, MINE, versions, "run")
