"""The checks of recall and quality in real runs, on backends in memory."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import dagster as dg
import numpy as np
import pytest

from vector_platform.indexes.base import VectorIndex
from vector_platform.indexes.contract import Generation, Hit, IndexUnavailable
from vector_platform.orchestration import keys, retries
from vector_platform.orchestration.runs import RunFailed, Runs
from vector_platform.settings import BackendName
from vector_platform_tests.indexes.memory_index import MemoryIndex
from vector_platform_tests.lake import building
from vector_platform_tests.orchestration.harness import OLD, MemoryPlatform, settings_of
from vector_platform_tests.orchestration.verdicts import Answer, answers

MILVUS = dg.AssetKey(["milvus", "documents"])
CHECK = dg.AssetCheckKey(MILVUS, keys.RECALL_HOLDS)
EARLY, LATE = 60, 40


class StaleIndex(MemoryIndex):
    """An index that finds nothing of what came after it was made, until it is made anew."""

    def __init__(self) -> None:
        super().__init__()
        self.stale: set[str] = set()

    def search(
        self, generation: Generation, vector: np.ndarray, *, k: int, tenant: str | None = None
    ) -> list[Hit]:
        hits = super().search(generation, vector, k=1000, tenant=tenant)
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


def test_a_faithful_index_passes_with_its_slices(runs: Runs) -> None:
    first, second = verdicts(runs)
    assert first.passed and second.passed
    assert second.metadata["recall"] == 1.0
    assert second.metadata["queries"] == EARLY + LATE
    assert second.metadata["floor"] == 0.9
    assert "| since the build | 1.0000 |" in second.metadata["slices"]
    assert second.metadata["picture"].startswith("![recall of g0001")
    assert "deleted_share" not in second.metadata
    recorded = runs.platform.lake.evaluations.read(where=[("kind", "==", "index_recall")])
    assert second.metadata["evaluation_id"] in recorded["evaluation_id"].to_pylist()


def test_recall_lost_on_new_content_fails_the_check_and_not_the_run_and_a_rebuild_restores_it(
    runs: Runs,
) -> None:
    index(runs).stale = {row["chunk_id"] for row in guides(LATE, "copper price")[::2]}
    done = runs.materialize([MILVUS], partition=OLD)
    assert done.failed_checks == ("milvus/documents:index_recall_holds",)
    verdict = verdicts(runs)[-1]
    assert verdict.metadata["worst_slice"] == "since the build"
    assert verdict.metadata["worst_recall_high"] < verdict.metadata["floor"]
    assert verdict.metadata["generation"] == "g0001"
    assert "index rebuild --backend milvus" in verdict.metadata["what_happens"]
    runs.platform.index_sync("milvus", run_id="rebuild").build(OLD)
    done = runs.materialize([MILVUS], partition=OLD)
    assert done.failed_checks == ()
    assert verdicts(runs)[-1].metadata["generation"] == "g0002"


def test_a_rebuilt_generation_hides_nothing_before_readers_see_it(runs: Runs) -> None:
    pointer = runs.platform.live_pointer("milvus")
    first = runs.platform.index_sync("milvus", run_id="release").states.newest(OLD)
    assert first is not None
    told: dict[str, Any] = {"actor": "a person", "reason": "", "evidence": {}, "run_id": "release"}
    pointer.promote(first, **told)
    index(runs).stale = {row["chunk_id"] for row in guides(LATE, "copper price")[::2]}
    rebuilt = runs.platform.index_sync("milvus", run_id="rebuild").build(OLD).generation
    done = runs.materialize([MILVUS], partition=OLD)
    assert done.failed_checks == ("milvus/documents:index_recall_holds",)
    assert verdicts(runs)[-1].metadata["generation"] == "g0001"
    pointer.promote(rebuilt, **told)
    done = runs.materialize([MILVUS], partition=OLD)
    assert done.failed_checks == ()
    assert verdicts(runs)[-1].metadata["generation"] == "g0002"


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
