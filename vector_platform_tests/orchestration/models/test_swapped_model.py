"""A model that is swapped behind its name: real runs, from the failed check to the way out."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import dagster as dg
import numpy as np
import pytest

from vector_platform.indexes.state import IndexStates
from vector_platform.models.base import Embedded, Embedder, Vectors
from vector_platform.models.errors import ModelDownloadError
from vector_platform.orchestration import keys
from vector_platform.orchestration.launch import RunFailed, Runs
from vector_platform.orchestration.runs import retries
from vector_platform.remediation import checks
from vector_platform_tests.lake import building
from vector_platform_tests.models.canaries.test_answers import Swapped
from vector_platform_tests.orchestration.harness import OLD, MemoryPlatform, settings_of
from vector_platform_tests.orchestration.verdicts import Answer, answers
from vector_platform_tests.pictures import pictures_of, rows_of

BOTH = [dg.AssetKey([name, "documents"]) for name in ("milvus", "pinecone")]
CHECK = dg.AssetCheckKey(keys.EMBEDDINGS, checks.CANARY)


class SwappingPlatform(MemoryPlatform):
    """A platform whose model can be exchanged behind its name."""

    swap: Callable[[Embedder], Embedder] | None = None

    def embedder(self, model_version: str) -> Embedder:
        real = super().embedder(model_version)
        return self.swap(real) if self.swap else real


@pytest.fixture
def runs(root: Path, tmp_path: Path) -> Runs:
    """Thirty embedded and indexed passages."""
    platform = SwappingPlatform(settings_of(root))
    platform.lake = building.open_lake(tmp_path)
    building.put(
        platform.lake, *(building.chunk(f"guides:{n}", f"how to open door {n}") for n in range(30))
    )
    runs = Runs(platform, instance=dg.DagsterInstance.ephemeral())
    runs.materialize([keys.EMBEDDINGS, *BOTH], partition=OLD)
    return runs


def swap(runs: Runs, model: Callable[[Embedder], Embedder] | None) -> None:
    assert isinstance(runs.platform, SwappingPlatform)
    runs.platform.swap = model


def half(model: Embedder) -> Embedder:
    return Swapped(model, answer=lambda v: v.astype(np.float16).astype(np.float32))


class LateSwap(Embedder):
    """A model that changes after its first canaries: the first probe is good, nothing else is."""

    def __init__(self, inner: Embedder) -> None:
        super().__init__(inner.name, inner.fingerprint)
        self.inner, self.asked = inner, 0

    def _encode(self, texts: list[str], *, stable: bool, on_batch: None) -> Embedded:
        # Registered before: the first question is the probe before embedding.
        self.asked += 1
        model = self.inner if self.asked == 1 else half(self.inner)
        return model._encode(texts, stable=stable, on_batch=None)

    def _count(self, texts: list[str]) -> int:
        return self.inner._count(texts)


def grow(runs: Runs) -> None:
    building.put(runs.platform.lake, building.chunk("guides:new", "a new guide about badges"))


def verdicts(runs: Runs) -> list[Answer]:
    return answers(runs.instance, CHECK)


def rows(runs: Runs) -> int:
    state = IndexStates(runs.platform.lake.index_state, "milvus", "documents").newest(OLD)
    assert state is not None and state.status == "proven"
    return state.rows


def test_a_model_that_answers_as_registered_passes_with_its_numbers(runs: Runs) -> None:
    (verdict,) = verdicts(runs)
    assert verdict.passed and verdict.partition == OLD
    assert verdict.metadata["canaries"] >= 32
    assert verdict.metadata["canaries_differing"] == 0
    assert verdict.metadata["max_abs_difference"] <= verdict.metadata["tolerance"]
    recorded = runs.platform.lake.evaluations.read(where=[("kind", "==", "canaries")])
    assert recorded["evaluation_id"].to_pylist() == [verdict.metadata["evaluation_id"]]
    assert pictures_of(verdict.metadata).keys() == {"picture"}, "nothing to look back on yet"
    assert verdict.metadata["diagnosis"].startswith("No canary differs")
    assert "canary_texts" not in verdict.metadata


def test_a_swapped_model_embeds_nothing_and_stops_the_run_before_any_index(runs: Runs) -> None:
    grow(runs)
    swap(runs, half)
    before = runs.platform.lake.embeddings.version()
    with pytest.raises(RunFailed, match="model_answers_as_registered"):
        runs.materialize([keys.EMBEDDINGS, *BOTH], partition=OLD)
    assert runs.platform.lake.embeddings.version() == before
    assert rows(runs) == 30
    verdict = verdicts(runs)[-1]
    assert not verdict.passed
    assert verdict.metadata["canaries_differing"] > 0
    assert verdict.metadata["fingerprint_matches"] == 1
    assert "quarantined_vectors" in verdict.metadata["what_happens"]
    assert "reembed_on_changed_model starts the job reembed" in verdict.metadata["what_happens"]
    with pytest.raises(RunFailed, match="no vector under"):
        runs.materialize(BOTH, partition=OLD)


@pytest.mark.deep
def test_a_swapped_model_is_shown_with_the_canaries_that_moved(runs: Runs) -> None:
    grow(runs)
    # Some canary texts are of unusual writing, and no other text has a Greek letter.
    swap(runs, lambda model: Swapped(model, read=lambda text: text.replace("ν", "n")))
    with pytest.raises(RunFailed, match="model_answers_as_registered"):
        runs.materialize([keys.EMBEDDINGS], partition=OLD)
    shown = verdicts(runs)[-1].metadata
    sizes = pictures_of(shown)
    assert sizes.keys() == {"picture", "timeline"}
    assert {width for width, _ in sizes.values()} == {640}
    first, second, *_ = rows_of(shown["canary_texts"])
    assert first["text"].startswith("Ποιότητα") and first["group"] == "many scripts"
    assert float(first["largest difference"]) == pytest.approx(
        shown["max_abs_difference"], rel=0.05
    )
    assert float(second["largest difference"]) <= shown["tolerance"]
    assert shown["canaries_differing"] == 1
    assert "1 of 36 canaries differ" in shown["diagnosis"]
    assert "the tokenizer" in shown["diagnosis"]
    missing = answers(runs.instance, dg.AssetCheckKey(keys.EMBEDDINGS, checks.COMPLETE))[-1]
    assert [row["text"] for row in rows_of(missing.metadata["examples"])] == [
        "a new guide about badges"
    ]


@pytest.mark.deep
def test_a_model_swapped_while_it_embeds_leaves_only_quarantined_vectors(runs: Runs) -> None:
    grow(runs)
    late = LateSwap(runs.platform.embedder(OLD))
    swap(runs, lambda _: late)
    with pytest.raises(RunFailed, match="model_answers_as_registered"):
        runs.materialize([keys.EMBEDDINGS, *BOTH], partition=OLD)
    lake = runs.platform.lake
    assert lake.quarantined_vectors.read().num_rows == 1
    assert lake.count_missing(OLD, lake.snapshot()) == 1
    assert rows(runs) == 30


def test_the_restored_model_embeds_the_rest_and_the_indexes_follow(runs: Runs) -> None:
    grow(runs)
    swap(runs, half)
    with pytest.raises(RunFailed):
        runs.materialize([keys.EMBEDDINGS, *BOTH], partition=OLD)
    swap(runs, None)
    done = runs.materialize([keys.EMBEDDINGS, *BOTH], partition=OLD)
    assert done.failed_checks == ()
    assert done.metadata["lake/embeddings"]["texts"] == 1
    assert rows(runs) == 31


@pytest.mark.deep
def test_the_check_by_itself_asks_the_model_again(runs: Runs) -> None:
    check = runs.definitions.resolve_implicit_job_def_def_for_assets([keys.EMBEDDINGS])
    assert check is not None
    only = check.get_subset(asset_selection=set(), asset_check_selection={CHECK})
    for model in (half, None):
        swap(runs, model)
        only.execute_in_process(
            instance=runs.instance, tags={"dagster/partition": OLD}, raise_on_error=False
        )
    assert [verdict.passed for verdict in verdicts(runs)] == [True, False, True]
    assert len({verdict.metadata["evaluation_id"] for verdict in verdicts(runs)}) == 3


@pytest.mark.deep
def test_a_model_that_cannot_be_asked_is_an_outage_and_no_verdict(
    runs: Runs, monkeypatch: pytest.MonkeyPatch
) -> None:
    def down(vectors: Vectors) -> Vectors:
        raise ModelDownloadError("the provider does not answer")

    monkeypatch.setattr(retries, "RETRY_SECONDS", 0)
    swap(runs, lambda model: Swapped(model, answer=down))
    with pytest.raises(RunFailed, match="does not answer"):
        runs.materialize([keys.EMBEDDINGS], partition=OLD)
    assert len(verdicts(runs)) == 1
    assert runs.platform.lake.quarantined_vectors.read().num_rows == 0
