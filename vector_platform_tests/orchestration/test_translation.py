"""A new model served before its own vectors are there: made, indexed, refused, resumed, replaced.

The lake, the models and the Dagster runs are real, the backends are in memory.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import dagster as dg
import numpy as np
import pyarrow as pa
import pytest

from vector_platform.indexes.contract import IndexUnavailable
from vector_platform.lake.contract import GOLDEN_QUERIES
from vector_platform.models.errors import ModelError
from vector_platform.models.own import read_card
from vector_platform.orchestration.assets.embeddings import embed
from vector_platform.orchestration.instance import open_instance
from vector_platform.orchestration.model_jobs import (
    ReplaceConfig,
    TranslateConfig,
    build_replace_job,
    build_translate_job,
    make_translation,
    replace_translation,
)
from vector_platform.orchestration.model_sensors import build_model_sensors
from vector_platform.orchestration.release_jobs import PromoteConfig, build_promote_job
from vector_platform.releases.translation import TranslationRefused
from vector_platform.settings import (
    FreezeWindow,
    Releases,
    SettingsError,
    load_settings,
    with_own_models,
)
from vector_platform_tests.indexes.memory_index import MemoryIndex
from vector_platform_tests.lake import building
from vector_platform_tests.models.words import (
    token_vectors,
    turned,
    unrelated,
    words_text,
    write_words_model,
)
from vector_platform_tests.orchestration.harness import MemoryPlatform, settings_of

DOCUMENTS = 260
QUERIES = 80
OLD, NEW, STRANGER = "old.v1", "new.v1", "stranger.v1"
NAME = f"{NEW}~from-{OLD}"


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("weights")
    tables = {OLD: token_vectors(), NEW: turned(), STRANGER: unrelated()}
    return {name: write_words_model(root / name, table) for name, table in tables.items()}


@pytest.fixture
def platform(root: Path, tmp_path: Path, folders: dict[str, Path]) -> MemoryPlatform:
    """A corpus embedded with the old model, and golden queries that repeat half a document."""
    models = {name: {"path": str(path), "kind": "static"} for name, path in folders.items()}
    settings = settings_of(
        root,
        data=str(tmp_path / "data"),
        models=models,
        upgrades={"translation_pairs": 150, "translation_held_out": 100},
    )
    made = MemoryPlatform(settings)
    made.lake = building.open_lake(tmp_path)
    rows = [building.chunk(f"guides:{n}", words_text(n)) for n in range(DOCUMENTS)]
    building.put(made.lake, *rows)
    made.lake.golden_queries.replace(
        pa.Table.from_pylist(
            [
                {
                    "set_name": "halves",
                    "query_id": str(number),
                    "text": " ".join(words_text(number).split()[:6]),
                    "doc_id": f"guides:{number}",
                    "gain": 1,
                    "tenant": None,
                    "provenance": "test",
                }
                for number in range(QUERIES)
            ],
            schema=GOLDEN_QUERIES.schema,
        )
    )
    embed(made, OLD, "run", quiet)
    return made


def quiet(line: str) -> None:
    pass


def stored(platform: MemoryPlatform, model_version: str) -> dict[str, np.ndarray]:
    table = platform.lake.embeddings.read(where=[("model_version", "==", model_version)])
    rows = zip(table["content_hash"].to_pylist(), table["vector"].to_pylist(), strict=True)
    return {content_hash: np.array(vector, np.float32) for content_hash, vector in rows}


def fingerprints(platform: MemoryPlatform, model_version: str) -> set[str]:
    table = platform.lake.embeddings.read(where=[("model_version", "==", model_version)])
    return set(table["fingerprint"].to_pylist())


def run(job: dg.JobDefinition, platform: MemoryPlatform, op: str, config: dg.Config) -> Any:
    """Execute a job of one op in this process; returns what the op returned."""
    done = job.execute_in_process(
        run_config=dg.RunConfig({op: config}), resources={"platform": platform}
    )
    return done.output_for_node(op)


def translate(platform: MemoryPlatform, old: str = OLD, new: str = NEW) -> dict[str, Any]:
    job = build_translate_job()
    made: dict[str, Any] = run(job, platform, "translate", TranslateConfig(old=old, new=new))
    return made


def promote(platform: MemoryPlatform, model_version: str) -> None:
    config = PromoteConfig(model_version=model_version, actor="test")
    run(build_promote_job(platform.settings), platform, "promote_op", config)


def test_the_whole_corpus_is_served_in_the_new_space_with_a_sample_embedded(
    platform: MemoryPlatform,
) -> None:
    made = translate(platform)
    assert (made["model_version"], made["translated"], made["texts"]) == (NAME, DOCUMENTS, 0)
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
    answer = platform.search_service.search(texts[0], backend="milvus", k=1)
    assert answer.model_version == NAME
    assert answer.hits[0].doc_id == "guides:7"
    asked = platform.embedder(NAME).encode_queries(texts)
    assert np.array_equal(asked, platform.embedder(NEW).encode_queries(texts))


def test_translated_vectors_keep_to_their_own_partition_and_say_where_they_come_from(
    platform: MemoryPlatform,
) -> None:
    make_translation(platform, OLD, NEW, "run", quiet)
    before = {model: stored(platform, model) for model in (OLD, NEW)}
    embed(platform, NAME, "run", quiet)
    for model, vectors in before.items():
        after = stored(platform, model)
        assert after.keys() == vectors.keys()
        assert all(np.array_equal(after[one], vectors[one]) for one in vectors)
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
        translate(platform, OLD, STRANGER)
    refused = f"{STRANGER}~from-{OLD}"
    assert refused not in with_own_models(platform.settings).models
    assert not platform.settings.own_models_dir.exists()
    assert stored(platform, refused) == {}


def test_without_golden_queries_the_new_model_judges_and_still_refuses_a_stranger(
    platform: MemoryPlatform,
) -> None:
    platform.lake.golden_queries.replace(GOLDEN_QUERIES.schema.empty_table())
    name = make_translation(platform, OLD, NEW, "run", quiet)
    assert read_card(platform.data_dir, name)["judged_by"] == "agreement"
    with pytest.raises(TranslationRefused, match="agreement"):
        make_translation(platform, OLD, STRANGER, "run", quiet)


def test_a_small_corpus_is_embedded_instead(platform: MemoryPlatform) -> None:
    gone = [(f"guides:{n}#0",) for n in range(100, DOCUMENTS)]
    platform.lake.chunks.merge(deletes=gone)
    with pytest.raises(TranslationRefused, match="embed the corpus with the new model"):
        make_translation(platform, OLD, NEW, "run", quiet)


def test_a_killed_translation_goes_on_where_it_was(
    platform: MemoryPlatform, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_translation(platform, OLD, NEW, "run", quiet)
    whole = platform.lake.untranslated

    def small(*names: str, chunks_version: int) -> Iterator[pa.RecordBatch]:
        return whole(*names, chunks_version=chunks_version, batch_rows=100)

    monkeypatch.setattr(platform.lake, "untranslated", small)

    def killed(line: str) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        embed(platform, NAME, "run", killed)
    committed = stored(platform, NAME)
    assert 0 < len(committed) < DOCUMENTS
    done = embed(platform, NAME, "run", quiet)
    assert done.translated == DOCUMENTS - len(committed)
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
    make_translation(platform, OLD, NEW, "run", quiet)
    embed(platform, NAME, "run", quiet)
    building.put(platform.lake, building.chunk("guides:new", words_text(5000)))
    done = embed(platform, NAME, "run", quiet)
    report, translated = done.report, done.translated
    assert (report.texts, translated) == (1, 0)
    building.put(platform.lake, building.chunk("guides:newer", words_text(5001)))
    embed(platform, OLD, "run", quiet)
    done = embed(platform, NAME, "run", quiet)
    report, translated = done.report, done.translated
    assert (report.texts, translated) == (0, 1)


def test_the_true_version_takes_the_place_when_it_is_complete_and_not_before(
    platform: MemoryPlatform,
) -> None:
    translate(platform)
    promote(platform, NAME)
    sensor = Replacing(platform)
    assert sensor.tick() == []
    told = replace_translation(platform, NAME, "run", quiet)
    assert "contents have no vector under new.v1 yet" in told
    assert not platform.settings.models[NAME].retired
    embed(platform, NEW, "run", quiet)
    (config,) = sensor.tick()
    assert sensor.tick() == []
    told = run(build_replace_job(), platform, "replace", config)
    assert "is retired" in told
    assert platform.settings.models[NAME].retired
    for backend in ("milvus", "pinecone"):
        live = platform.live_pointer(backend).live()
        assert live is not None and live.model_version == NEW
        states = platform.index_sync(backend, run_id="test").states
        assert states.newest(NAME) is None
        index = platform.target(backend)
        assert isinstance(index, MemoryIndex)
        assert index.generation_names("documents") == [live.generation]
    assert "is retired already" in replace_translation(platform, NAME, "run", quiet)
    assert sensor.tick() == []


def test_the_true_version_comes_through_the_release_desk_and_waits_there_in_a_freeze(
    platform: MemoryPlatform,
) -> None:
    translate(platform)
    promote(platform, NAME)
    embed(platform, NEW, "run", quiet)
    usual = platform.settings
    freeze = FreezeWindow(name="audit", first_day=date(2020, 1, 1))
    platform.settings = usual.model_copy(update={"releases": Releases(freezes=[freeze])})
    told = replace_translation(platform, NAME, "run", quiet)
    assert "stays until its place is taken" in told and "'audit'" in told
    assert not platform.settings.models[NAME].retired
    for backend in platform.settings.indexes.backends:
        live = platform.live_pointer(backend).live()
        assert live is not None and live.model_version == NAME
        (asked,) = platform.release_desk(backend, run_id="test").ledger.open()
        assert (asked.model_version, asked.requester) == (NEW, "replace_translation")
    platform.settings = usual
    assert "is retired" in replace_translation(platform, NAME, "run", quiet)
    for backend in platform.settings.indexes.backends:
        (_, moved) = platform.live_pointer(backend).history()
        assert moved.model_version == NEW and moved.known("request")


def test_a_replacement_that_finds_its_backend_away_is_run_again(
    platform: MemoryPlatform, monkeypatch: pytest.MonkeyPatch, at_once: None
) -> None:
    monkeypatch.delenv("DAGSTER_HOME", raising=False)
    make_translation(platform, OLD, NEW, "run", quiet)
    embed(platform, NEW, "run", quiet)
    sensor = Replacing(platform)
    (config,) = sensor.tick()

    def away(*args: Any, **kwargs: Any) -> Any:
        raise IndexUnavailable("no answer")

    monkeypatch.setattr(platform, "release_desk", away)
    with open_instance(platform.settings) as instance:
        done = build_replace_job().execute_in_process(
            run_config=dg.RunConfig({"replace": config}),
            resources={"platform": platform},
            instance=instance,
            raise_on_error=False,
        )
        run = instance.get_run_by_id(done.run_id)
    assert not done.success
    assert run is not None and run.tags["dagster/will_retry"] == "true"
    assert sensor.tick() == [], "the sensor itself asks once"


class Replacing:
    """The sensor `replace_when_complete`, ticked by hand."""

    def __init__(self, platform: MemoryPlatform) -> None:
        self._platform = platform
        self._cursor: str | None = None
        (self._sensor,) = build_model_sensors(build_replace_job())

    def tick(self) -> list[ReplaceConfig]:
        context = dg.build_sensor_context(
            cursor=self._cursor, resources={"platform": self._platform}
        )
        data = self._sensor.evaluate_tick(context)
        self._cursor = data.cursor or self._cursor
        return [
            ReplaceConfig(**request.run_config["ops"]["replace"]["config"])
            for request in data.run_requests or []
        ]


def test_a_version_made_here_is_read_with_the_settings_and_is_bound_to_its_bases(
    platform: MemoryPlatform, root: Path, folders: dict[str, Path]
) -> None:
    make_translation(platform, OLD, NEW, "run", quiet)
    again = load_settings(root / "platform.yaml", {})
    assert again.models[NAME].translated is not None
    assert list(again.active_models)[-1] == NAME
    models = {OLD: {"path": str(folders[OLD]), "kind": "static"}}
    with pytest.raises(SettingsError, match="which is not in models"):
        settings_of(root, data=str(platform.data_dir), models=models)
    # The weights behind a base's name change: the map was not made for these.
    models[NEW] = {"path": str(folders[STRANGER]), "kind": "static"}
    other = MemoryPlatform(settings_of(root, data=str(platform.data_dir), models=models))
    with pytest.raises(ModelError, match="its matrix was made for"):
        other.embedder(NAME)
    assert make_translation(platform, OLD, NEW, "run", quiet) == NAME
