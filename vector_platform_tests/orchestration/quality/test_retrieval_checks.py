"""The checks of recall and quality in real runs, on backends in memory."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import dagster as dg
import numpy as np
import pyarrow as pa
import pytest

from vector_platform.indexes.base import VectorIndex
from vector_platform.indexes.contract import Generation, Hit, IndexUnavailable, Scope
from vector_platform.lake.contract import GOLDEN_QUERIES
from vector_platform.lake.lake import Lake
from vector_platform.orchestration import keys
from vector_platform.orchestration.launch import RunFailed, Runs
from vector_platform.orchestration.runs import retries
from vector_platform.remediation import checks
from vector_platform.settings import BackendName
from vector_platform_tests.indexes.memory_index import MemoryIndex
from vector_platform_tests.lake import building
from vector_platform_tests.orchestration.harness import OLD, MemoryPlatform, settings_of
from vector_platform_tests.orchestration.verdicts import Answer, answers
from vector_platform_tests.pictures import pictures_of, rows_of

MILVUS = dg.AssetKey(["milvus", "documents"])
CHECK = dg.AssetCheckKey(MILVUS, checks.RECALL)
QUALITY = dg.AssetCheckKey(keys.RETRIEVAL, checks.QUALITY)
EARLY, LATE = 60, 40
TOLD: dict[str, Any] = {"actor": "a person", "reason": "", "evidence": {}, "run_id": "release"}


class StaleIndex(MemoryIndex):
    """An index that finds nothing of what came after it was made, until it is made anew."""

    def __init__(self) -> None:
        super().__init__()
        self.stale: set[str] = set()

    def search(
        self, generation: Generation, vector: np.ndarray, *, k: int, scope: Scope, **how: Any
    ) -> list[Hit]:
        hits = super().search(generation, vector, k=1000, scope=scope, **how)
        hidden = self.stale if generation.name == "g0001" else set()
        return [hit for hit in hits if hit.id not in hidden][:k]


class StalePlatform(MemoryPlatform):
    def target(self, backend: BackendName) -> VectorIndex:
        if backend not in self.memory:
            self.memory[backend] = StaleIndex()
            self.memory[backend].backend = backend
        return self.memory[backend]


def guides(count: int, text: str) -> list[dict[str, Any]]:
    return [building.chunk(f"guides:{text} {n}", f"{text} number {n}") for n in range(count)]


@pytest.fixture
def runs(root: Path, tmp_path: Path) -> Runs:
    """An index built from early guides, with late ones synced into it."""
    platform = StalePlatform(settings_of(root))
    platform.lake = building.open_lake(tmp_path)
    runs = Runs(platform, instance=dg.DagsterInstance.ephemeral())
    for part in (guides(EARLY, "badge door"), guides(LATE, "copper price")):
        building.put(platform.lake, *part)
        runs.materialize([keys.EMBEDDINGS, MILVUS], partition=OLD)
    return runs


def verdicts(runs: Runs) -> list[Answer]:
    return answers(runs.instance, CHECK)


def index(runs: Runs) -> StaleIndex:
    found = runs.platform.target("milvus")
    assert isinstance(found, StaleIndex)
    return found


def release_newest(runs: Runs) -> None:
    newest = runs.platform.index_sync("milvus", run_id="release").states.newest(OLD)
    assert newest is not None
    runs.platform.live_pointer("milvus").promote(newest, **TOLD)


def judged(lake: Lake, *more: str) -> None:
    """A golden query for each early guide, answered by it and by these."""
    rows = [
        {
            "set_name": "badges",
            "query_id": row["doc_id"],
            "text": row["text"],
            "doc_id": answer,
            "gain": 1,
            "tenant": None,
            "provenance": "test",
        }
        for row in guides(EARLY, "badge door")
        for answer in (row["doc_id"], *more)
    ]
    lake.golden_queries.replace(pa.Table.from_pylist(rows, schema=GOLDEN_QUERIES.schema))


def test_a_faithful_index_passes_with_its_slices(runs: Runs) -> None:
    first, second = verdicts(runs)
    assert first.passed and second.passed
    assert second.metadata["recall"] == 1.0
    assert second.metadata["queries"] == EARLY + LATE
    assert second.metadata["floor"] == 0.9
    assert "| since the build | 1.0000 |" in second.metadata["slices"]
    assert second.metadata["picture"].startswith("![recall of milvus g0001, words.v1")
    assert pictures_of(first.metadata).keys() == {"picture"}, "there is no time to look back on"
    assert pictures_of(second.metadata).keys() == {"picture", "timeline"}
    assert second.metadata["what_happens"] == ""
    assert "deleted_share" not in second.metadata
    recorded = runs.platform.lake.evaluations.read(where=[("kind", "==", "index_recall")])
    assert second.metadata["evaluation_id"] in recorded["evaluation_id"].to_pylist()


def test_recall_lost_on_new_content_fails_the_check_and_not_the_run_and_a_rebuild_restores_it(
    runs: Runs,
) -> None:
    index(runs).stale = {row["chunk_id"] for row in guides(LATE, "copper price")[::2]}
    done = runs.materialize([MILVUS], partition=OLD)
    assert done.failed_checks == ("milvus/documents:index_recall_holds",)
    known = runs.platform.index_sync("milvus", run_id="test").states.newest(OLD)
    assert known is not None and known.status == "doubted"
    assert known.doubt is not None and "does not find what is there" in known.doubt
    verdict = verdicts(runs)[-1]
    assert verdict.metadata["worst_slice"] == "since the build"
    assert verdict.metadata["worst_recall_high"] < verdict.metadata["floor"]
    assert verdict.metadata["generation"] == "g0001"
    assert "index rebuild --backend milvus" in verdict.metadata["what_happens"]
    assert "reindex_on_lost_recall starts the job reindex" in verdict.metadata["what_happens"]
    assert "Stale: rows that came since the build" in verdict.metadata["diagnosis"]
    runs.platform.index_sync("milvus", run_id="rebuild").build(OLD)
    done = runs.materialize([MILVUS], partition=OLD)
    assert done.failed_checks == ()
    assert verdicts(runs)[-1].metadata["generation"] == "g0002"


@pytest.mark.deep
def test_lost_recall_is_shown_with_the_neighbours_that_are_lost(runs: Runs) -> None:
    hidden = {row["chunk_id"] for row in guides(LATE, "copper price")[::2]}
    index(runs).stale = hidden
    runs.materialize([MILVUS], partition=OLD)
    shown = verdicts(runs)[-1].metadata
    assert {name: width for name, (width, _) in pictures_of(shown).items()} == {
        "picture": 640,
        "curve": 640,
        "timeline": 640,
    }
    lost = rows_of(shown["lost_neighbours"])
    assert sum(row["query"] != "" for row in lost) == 3 and lost[0]["query"]
    query = ""
    for row in lost:
        query = row["query"] or query
        row_id, _, text = row["lost neighbour"].partition(": ")
        assert row_id in hidden
        assert row_id == f"guides:{text.replace(' number', '')}#0"
        assert row[""] == "since the build"
        assert "copper price" in query and query != text
        assert int(row["rank"]) <= 10 and float(row["its recall"]) < 1


@pytest.mark.deep
def test_a_rebuilt_generation_hides_nothing_before_readers_see_it(runs: Runs) -> None:
    pointer = runs.platform.live_pointer("milvus")
    release_newest(runs)
    index(runs).stale = {row["chunk_id"] for row in guides(LATE, "copper price")[::2]}
    rebuilt = runs.platform.index_sync("milvus", run_id="rebuild").build(OLD).generation
    done = runs.materialize([MILVUS], partition=OLD)
    assert done.failed_checks == ("milvus/documents:index_recall_holds",)
    assert verdicts(runs)[-1].metadata["generation"] == "g0001"
    pointer.promote(rebuilt, **TOLD)
    done = runs.materialize([MILVUS], partition=OLD)
    assert done.failed_checks == ()
    assert verdicts(runs)[-1].metadata["generation"] == "g0002"


@pytest.mark.deep
def test_a_backend_that_does_not_answer_is_an_error_and_no_verdict(
    runs: Runs, monkeypatch: pytest.MonkeyPatch
) -> None:
    def down(*arguments: object, **options: object) -> list[Hit]:
        raise IndexUnavailable("the backend does not answer")

    monkeypatch.setattr(retries, "RETRY_SECONDS", 0)
    monkeypatch.setattr(index(runs), "search", down)
    with pytest.raises(RunFailed, match="does not answer"):
        runs.materialize([MILVUS], partition=OLD)
    assert len(verdicts(runs)) == 2


@pytest.mark.deep
def test_an_answer_more_to_every_golden_query_is_no_fall_of_quality(runs: Runs) -> None:
    judged(runs.platform.lake)
    runs.materialize([keys.RETRIEVAL], partition=OLD)
    release_newest(runs)
    judged(runs.platform.lake, "guides:never found")
    done = runs.materialize([keys.RETRIEVAL], partition=OLD)
    assert done.failed_checks == ()
    found = answers(runs.instance, QUALITY)[-1].metadata
    assert found["value"] < found["champion_value"] - 0.1
    assert found["verdict"] == "no golden query was judged alike in both"


@pytest.mark.deep
def test_answers_that_are_gone_are_a_fall_of_quality(runs: Runs) -> None:
    judged(runs.platform.lake)
    runs.materialize([keys.RETRIEVAL], partition=OLD)
    release_newest(runs)
    gone = [row["chunk_id"] for row in guides(EARLY, "badge door")[::2]]
    building.put(runs.platform.lake, delete=gone)
    done = runs.materialize([keys.RETRIEVAL], partition=OLD)
    assert done.failed_checks == ("quality/retrieval:retrieval_quality_holds",)
    found = answers(runs.instance, QUALITY)[-1].metadata
    assert (found["verdict"], found["queries"]) == ("worse", EARLY)
    assert pictures_of(found).keys() == {"picture", "timeline"}
    fallen = rows_of(found["fallen_queries"])
    assert len(fallen) == 8
    for row in fallen:
        assert f"{row['asks for']}#0" in gone and row["of it gone"] == "1 of 1"
        assert row["asks for"] == f"guides:{row['query'].replace(' number', '')}"
    losses = [float(row["record"]) - float(row["now"]) for row in fallen]
    assert losses[0] == 1.0 and losses == sorted(losses, reverse=True), "the worst comes first"
    assert [row["queries"] for row in rows_of(found["slices"])] == [str(EARLY)]
    assert "8 ask for documents that the lake no longer holds" in found["diagnosis"]
    assert "retrain_on_fallen_quality starts the job retrain" in found["what_happens"]
    assert "index_recall_holds" in found["what_happens"], "what must hold before"
