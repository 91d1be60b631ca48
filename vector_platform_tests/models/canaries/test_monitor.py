"""Canaries in the lake: registration, verdicts, and which runs they prove or condemn."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from vector_platform.lake.contract import hash_text
from vector_platform.lake.lake import Lake
from vector_platform.models.base import Embedder
from vector_platform.models.canaries import monitor as monitor_module
from vector_platform.models.canaries.monitor import ModelMonitor
from vector_platform.models.embed import embed_missing
from vector_platform_tests.lake.building import append_vectors, chunk, open_lake, put
from vector_platform_tests.models.canaries.test_answers import Swapped
from vector_platform_tests.models.registration import register_embedder


@pytest.fixture
def lake(tmp_path: Path, wordllama: Embedder) -> Lake:
    lake = open_lake(tmp_path)
    put(lake, *(chunk(f"s:{i}", f"a passage about subject {i}") for i in range(40)))
    register_embedder(lake, wordllama)
    return lake


def half(model: Embedder) -> Embedder:
    return Swapped(model, answer=lambda v: v.astype(np.float16).astype(np.float32))


def embed_with(lake: Lake, model: Embedder, run_id: str) -> None:
    """What an embedding run does between its probes."""
    contents = lake.missing_contents(model.name, chunks_version=lake.chunks.version())
    embed_missing(model, contents, run_id=run_id, commit=lake.embeddings.append)


def judge(lake: Lake, model: Embedder, run_id: str) -> bool:
    monitor = ModelMonitor(lake, model, run_id=run_id)
    verdict = monitor.probe()
    monitor.record(verdict)
    monitor.carry_out()
    return verdict.passed


def runs(lake: Lake) -> set[str]:
    return set(lake.embeddings.read(["run_id"])["run_id"].to_pylist())


def test_the_first_probe_registers_texts_of_the_corpus(lake: Lake, wordllama: Embedder) -> None:
    verdict = ModelMonitor(lake, wordllama, run_id="a").probe()
    rows = lake.canaries.read().to_pylist()
    assert verdict.passed and verdict.canaries == len(rows) >= 32
    assert sum(row["text"].startswith("a passage about") for row in rows) >= 24
    assert ModelMonitor(lake, wordllama, run_id="b").probe().passed
    assert lake.canaries.read().num_rows == len(rows)


def test_canaries_are_the_same_texts_of_the_corpus_when_everything_is_embedded_already(
    lake: Lake, wordllama: Embedder
) -> None:
    longest = "a passage about everything " * 50
    put(lake, chunk("s:long", longest), chunk("s:again", longest))
    ModelMonitor(lake, wordllama, run_id="a").probe()
    first = lake.canaries.read(["ordinal", "text"]).sort_by("ordinal")
    embed_with(lake, wordllama, "b")
    lake.canaries.replace(lake.canaries.read().slice(0, 0))
    ModelMonitor(lake, wordllama, run_id="c").probe()
    assert lake.canaries.read(["ordinal", "text"]).sort_by("ordinal") == first
    assert longest in first["text"].to_pylist()


def test_a_verdict_is_kept_with_its_numbers(lake: Lake, wordllama: Embedder) -> None:
    ModelMonitor(lake, wordllama, run_id="a").probe()
    monitor = ModelMonitor(lake, half(wordllama), run_id="b")
    assert monitor.recorded() is None
    verdict = monitor.probe()
    monitor.record(verdict)
    assert monitor.recorded() == verdict
    (row,) = lake.evaluations.read().to_pylist()
    assert (row["kind"], row["metric"]) == ("canaries", "max_abs_difference")
    assert row["value"] == verdict.max_abs_difference > verdict.tolerance
    assert row["sample_size"] == verdict.canaries
    assert 0 < verdict.canaries_differing <= verdict.canaries


def test_a_failed_verdict_moves_what_came_since_the_last_good_one(
    lake: Lake, wordllama: Embedder
) -> None:
    assert judge(lake, wordllama, "first")
    embed_with(lake, wordllama, "first")
    assert judge(lake, wordllama, "first")
    put(lake, chunk("s:new", "a passage that comes later"))
    embed_with(lake, half(wordllama), "second")
    assert not judge(lake, half(wordllama), "second")
    assert runs(lake) == {"first"}
    (moved,) = lake.quarantined_vectors.read().to_pylist()
    assert moved["run_id"] == "second"


def test_a_killed_run_is_proven_by_the_next_good_probe(lake: Lake, wordllama: Embedder) -> None:
    judge(lake, wordllama, "first")
    embed_with(lake, wordllama, "killed")
    assert judge(lake, wordllama, "second")
    assert not judge(lake, half(wordllama), "third")
    assert runs(lake) == {"killed"}


def test_vectors_of_a_killed_run_of_a_changed_model_go_too(lake: Lake, wordllama: Embedder) -> None:
    judge(lake, wordllama, "first")
    embed_with(lake, half(wordllama), "killed")
    assert not judge(lake, half(wordllama), "second")
    assert runs(lake) == set()


def test_a_second_attempt_of_a_run_that_was_proven_is_condemned_as_a_whole(
    lake: Lake, wordllama: Embedder
) -> None:
    embed_with(lake, wordllama, "run")
    assert judge(lake, wordllama, "run")
    put(lake, chunk("s:new", "a passage that comes later"))
    embed_with(lake, half(wordllama), "run")
    assert not judge(lake, half(wordllama), "run")
    assert runs(lake) == set()


def test_a_restored_model_embeds_again_under_any_run_and_is_believed(
    lake: Lake, wordllama: Embedder
) -> None:
    embed_with(lake, half(wordllama), "run")
    judge(lake, wordllama, "registration")
    embed_with(lake, half(wordllama), "run")
    assert not judge(lake, half(wordllama), "run")
    embed_with(lake, wordllama, "run")
    assert judge(lake, wordllama, "run")
    assert ModelMonitor(lake, wordllama, run_id="later").carry_out() == 0
    assert runs(lake) == {"run"}


def test_a_move_that_was_cut_off_is_carried_out_later_even_when_the_model_is_back(
    lake: Lake, wordllama: Embedder
) -> None:
    judge(lake, wordllama, "first")
    embed_with(lake, half(wordllama), "second")
    bad = ModelMonitor(lake, half(wordllama), run_id="second")
    bad.record(bad.probe())
    assert runs(lake) == {"second"}  # killed here, and the model is restored
    monitor = ModelMonitor(lake, wordllama, run_id="third")
    assert monitor.carry_out() == 40
    monitor.record(monitor.probe())
    assert runs(lake) == set()


def test_another_model_version_is_left_alone(lake: Lake, wordllama: Embedder) -> None:
    judge(lake, wordllama, "first")
    register_embedder(lake, wordllama, name="other.v1")
    append_vectors(lake, "other.v1", {hash_text("x"): np.ones(2, np.float32)}, run_id="second")
    embed_with(lake, half(wordllama), "second")
    assert not judge(lake, half(wordllama), "second")
    assert lake.embeddings.read()["model_version"].to_pylist() == ["other.v1"]


def test_a_new_runtime_is_compared_with_the_registration_and_then_has_its_own(
    lake: Lake, wordllama: Embedder, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = ModelMonitor(lake, wordllama, run_id="a").probe()
    monkeypatch.setattr(monitor_module, "runtime_of", lambda embedder: "a new processor")
    rounded = Swapped(wordllama, answer=lambda v: v + np.float32(3e-5))
    monkeypatch.setattr(
        "vector_platform.models.canaries.answers.runtime_of", lambda _: "a new processor"
    )
    verdict = ModelMonitor(lake, rounded, run_id="b").probe()
    assert verdict.passed and verdict.registered_runtime == first.runtime
    again = ModelMonitor(lake, rounded, run_id="c").probe()
    assert again.passed and again.registered_runtime == "a new processor"
    assert again.max_abs_difference == 0


def test_a_new_runtime_with_other_answers_is_refused_and_never_becomes_a_reference(
    lake: Lake, wordllama: Embedder, monkeypatch: pytest.MonkeyPatch
) -> None:
    registered = ModelMonitor(lake, wordllama, run_id="a").probe().canaries
    monkeypatch.setattr(monitor_module, "runtime_of", lambda embedder: "a new library")
    monkeypatch.setattr(
        "vector_platform.models.canaries.answers.runtime_of", lambda _: "a new library"
    )
    coarse = Swapped(wordllama, answer=lambda v: np.round(v, 3))
    for run in ("b", "c"):
        assert not ModelMonitor(lake, coarse, run_id=run).probe().passed
    assert lake.canaries.read().num_rows == registered


def test_another_fingerprint_fails_even_where_the_answers_are_the_same(
    lake: Lake, wordllama: Embedder, tmp_path: Path
) -> None:
    ModelMonitor(lake, wordllama, run_id="a").probe()
    renamed = Swapped(wordllama)
    renamed.fingerprint = type(wordllama.fingerprint)(
        **wordllama.fingerprint.details | {"query_prompt": "query: "}
    )
    verdict = ModelMonitor(lake, renamed, run_id="b").probe()
    assert (verdict.passed, verdict.fingerprint_matches, verdict.canaries_differing) == (
        False,
        False,
        0,
    )
