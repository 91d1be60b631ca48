"""A new model served before its own vectors are there: made, indexed, refused, resumed.

The lake, the models and the Dagster runs are real, the backends are in memory.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import numpy as np
import pyarrow as pa
import pytest

from vector_platform.indexes.contract import Scope
from vector_platform.lake.contract import GOLDEN_QUERIES
from vector_platform.models.errors import ModelError
from vector_platform.models.local_versions import read_card
from vector_platform.orchestration.models.assets import embed
from vector_platform.orchestration.models.jobs import make_alignment
from vector_platform.settings import OWN_MODELS, SettingsError, with_local_versions
from vector_platform.training.alignment_sample import AlignmentRefused, TooFewContents
from vector_platform.wiring import load_settings
from vector_platform_tests.lake import building
from vector_platform_tests.models.words import words_text
from vector_platform_tests.orchestration.aligning import (
    DOCUMENTS,
    NAME,
    NEW,
    OLD,
    STRANGER,
    align,
    deployment,
    promote,
    quiet,
    write_weights,
)
from vector_platform_tests.orchestration.harness import MemoryPlatform, settings_of
from vector_platform_tests.some import some


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return write_weights(tmp_path_factory.mktemp("weights"))


@pytest.fixture
def platform(root: Path, tmp_path: Path, weights: dict[str, Path]) -> MemoryPlatform:
    return deployment(root, tmp_path, weights)


def stored(platform: MemoryPlatform, model_version: str) -> dict[str, np.ndarray]:
    table = platform.lake.embeddings.read(where=[("model_version", "==", model_version)])
    rows = zip(table["content_hash"].to_pylist(), table["vector"].to_pylist(), strict=True)
    return {content_hash: np.array(vector, np.float32) for content_hash, vector in rows}


def fingerprints(platform: MemoryPlatform, model_version: str) -> set[str]:
    table = platform.lake.embeddings.read(where=[("model_version", "==", model_version)])
    return set(table["fingerprint"].to_pylist())


def test_the_whole_corpus_is_served_in_the_new_space_with_a_sample_embedded(
    platform: MemoryPlatform,
) -> None:
    made = align(platform)
    assert (made["model_version"], made["aligned"], made["texts"]) == (NAME, DOCUMENTS, 0)
    assert made["trial"]["kept"] > 0.99
    assert made["trial"]["queries"] >= 50
    provisional, true = stored(platform, NAME), stored(platform, NEW)
    assert len(provisional) == DOCUMENTS
    assert len(true) == made["trial"]["pairs"] + made["trial"]["held_out"] < DOCUMENTS
    for content_hash, vector in true.items():
        assert np.abs(provisional[content_hash] - vector).max() < 1e-3
    # An index of it is proven like any other, and its queries are the new model's.
    for backend in ("milvus", "pinecone"):
        state = platform.index_sync(backend, run_id="test").states.newest(NAME)
        assert state is not None and state.status == "proven" and state.rows == DOCUMENTS
        assert platform.live_pointer(backend).live() is None
    promote(platform, NAME)
    texts = [words_text(7)]
    platform.searcher.live.refresh()
    answer = platform.searcher.search(texts[0], scope=Scope.all_tenants(), backend="milvus", k=1)
    assert answer.source.model_version == NAME
    assert answer.hits[0].doc_id == "guides:7"
    asked = platform.embedder(NAME).encode_queries(texts)
    assert np.array_equal(asked, platform.embedder(NEW).encode_queries(texts))


def test_aligned_vectors_keep_to_their_own_partition_and_say_where_they_come_from(
    platform: MemoryPlatform,
) -> None:
    make_alignment(platform, OLD, NEW, "run", quiet)
    before = {model: stored(platform, model) for model in (OLD, NEW)}
    embed(platform, NAME, "run", quiet)
    for model, vectors in before.items():
        after = stored(platform, model)
        assert after.keys() == vectors.keys()
        assert all(np.array_equal(after[one], vectors[one]) for one in some(vectors))
        assert fingerprints(platform, model) == {platform.embedder(model).fingerprint.digest}
    assert fingerprints(platform, NAME) == {platform.embedder(NAME).fingerprint.digest}
    rows = platform.lake.model_versions.read(where=[("model_version", "==", NAME)]).to_pylist()
    lineage = json.loads(rows[0]["details"])["lineage"]
    assert (lineage["from"], lineage["to"]) == (OLD, NEW)
    assert lineage["bases"] == {
        model: platform.embedder(model).fingerprint.digest for model in (OLD, NEW)
    }
    assert {"map", "pairs", "held_out", "kept"} <= lineage.keys()


def test_a_map_between_unrelated_models_is_refused_with_the_numbers_and_leaves_nothing(
    platform: MemoryPlatform,
) -> None:
    with pytest.raises(dg.Failure, match=r"is refused: it keeps .*%.* the floor .* is 97\.0%"):
        align(platform, OLD, STRANGER)
    refused = f"{STRANGER}~from-{OLD}"
    assert refused not in with_local_versions(platform.settings).models
    assert not (platform.data_dir / OWN_MODELS).exists()
    assert stored(platform, refused) == {}


def test_without_golden_queries_the_new_model_judges_and_still_refuses_a_stranger(
    platform: MemoryPlatform,
) -> None:
    platform.lake.golden_queries.replace(GOLDEN_QUERIES.schema.empty_table())
    name = make_alignment(platform, OLD, NEW, "run", quiet)
    assert read_card(platform.data_dir, name)["judged_by"] == "agreement"
    with pytest.raises(AlignmentRefused, match="agreement"):
        make_alignment(platform, OLD, STRANGER, "run", quiet)


def test_a_small_corpus_is_embedded_instead(platform: MemoryPlatform) -> None:
    gone = [(f"guides:{n}#0",) for n in range(100, DOCUMENTS)]
    platform.lake.chunks.merge(deletes=gone)
    with pytest.raises(TooFewContents, match="embed the corpus with the new model"):
        make_alignment(platform, OLD, NEW, "run", quiet)


def test_a_killed_alignment_goes_on_where_it_was(
    platform: MemoryPlatform, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_alignment(platform, OLD, NEW, "run", quiet)
    whole = platform.lake.unaligned

    def small(*names: str, chunks_version: int) -> Iterator[pa.RecordBatch]:
        return whole(*names, chunks_version=chunks_version, batch_rows=100)

    monkeypatch.setattr(platform.lake, "unaligned", small)

    def killed(line: str) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        embed(platform, NAME, "run", killed)
    committed = stored(platform, NAME)
    assert 0 < len(committed) < DOCUMENTS
    done = embed(platform, NAME, "run", quiet)
    assert done.aligned == DOCUMENTS - len(committed)
    table = platform.lake.embeddings.read(where=[("model_version", "==", NAME)])
    assert table.num_rows == len(set(table["content_hash"].to_pylist())) == DOCUMENTS
    # The bits are those of the embedder: new contents, never seen by the old partition, fit in.
    texts = [words_text(n) for n in range(DOCUMENTS)]
    expected = platform.embedder(NAME).encode_documents(texts)
    for number, text in enumerate(texts):
        content_hash = building.chunk(f"guides:{number}", text)["content_hash"]
        assert np.array_equal(stored_vector(table, content_hash), expected[number])


def stored_vector(table: pa.Table, content_hash: str) -> np.ndarray:
    place = table["content_hash"].to_pylist().index(content_hash)
    return np.array(table["vector"][place].as_py(), np.float32)


def test_contents_that_come_later_reach_the_provisional_version_with_or_without_the_old_one(
    platform: MemoryPlatform,
) -> None:
    make_alignment(platform, OLD, NEW, "run", quiet)
    embed(platform, NAME, "run", quiet)
    building.put(platform.lake, building.chunk("guides:new", words_text(5000)))
    done = embed(platform, NAME, "run", quiet)
    report, aligned = done.report, done.aligned
    assert (report.texts, aligned) == (1, 0)
    building.put(platform.lake, building.chunk("guides:newer", words_text(5001)))
    embed(platform, OLD, "run", quiet)
    done = embed(platform, NAME, "run", quiet)
    report, aligned = done.report, done.aligned
    assert (report.texts, aligned) == (0, 1)


def test_a_version_made_here_is_read_with_the_settings_and_is_bound_to_its_bases(
    platform: MemoryPlatform, root: Path, weights: dict[str, Path]
) -> None:
    make_alignment(platform, OLD, NEW, "run", quiet)
    again = load_settings(root / "platform.yaml", {})
    assert again.models[NAME].aligned is not None
    assert list(again.active_models)[-1] == NAME
    models = {OLD: {"path": str(weights[OLD]), "kind": "static"}}
    with pytest.raises(SettingsError, match="which is not in models"):
        settings_of(root, data=str(platform.data_dir), models=models)
    # The weights behind a base's name change: the map was not made for these.
    models[NEW] = {"path": str(weights[STRANGER]), "kind": "static"}
    other = MemoryPlatform(settings_of(root, data=str(platform.data_dir), models=models))
    with pytest.raises(ModelError, match="its matrix was made for"):
        other.embedder(NAME)
    assert make_alignment(platform, OLD, NEW, "run", quiet) == NAME
