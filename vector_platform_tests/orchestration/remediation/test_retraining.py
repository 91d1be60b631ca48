"""Retraining: a challenger that wins is built beside what is live; one that does not is refused.

Readers ask in words of their own, which the base model holds a turn away from the documents'
words. So there is something to learn that holds for documents that were not trained on.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import dagster as dg
import numpy as np
import pyarrow as pa
import pytest

from vector_platform.errors import ContractError
from vector_platform.indexes import contract
from vector_platform.lake.contract import GOLDEN_QUERIES, hash_text
from vector_platform.models.local_versions import read_card, trained_on
from vector_platform.orchestration.models.assets import embed
from vector_platform.orchestration.remediation.retraining import (
    RetrainConfig,
    base_of,
    retrain,
    train_model,
)
from vector_platform.releases.requests.requests import ReleaseRequests
from vector_platform.remediation.faults import Scope
from vector_platform.remediation.suppression import answered
from vector_platform.settings import OWN_MODELS
from vector_platform.training.candidates import ChallengerRefused, NothingToLearn
from vector_platform.training.workshop import CannotBeMade
from vector_platform_tests.lake import building
from vector_platform_tests.models.words import (
    VOCABULARY,
    synonyms_of,
    with_synonyms,
    words_text,
    write_words_model,
)
from vector_platform_tests.orchestration.harness import MemoryPlatform, settings_of
from vector_platform_tests.some import some

# Torch is loaded, though no transformer.
pytestmark = pytest.mark.integration

DOCUMENTS = 300
BASE = "words.v1"


def text_of(number: int) -> str:
    return words_text(number, vocabulary=VOCABULARY // 2)


def ask(platform: MemoryPlatform, queries: dict[int, str]) -> None:
    """Replace the golden queries: of each document one."""
    rows = [
        {
            "set_name": "readers",
            "query_id": str(number),
            "text": query,
            "doc_id": f"guides:{number}",
            "gain": 1,
            "tenant": None,
            "provenance": "test",
        }
        for number, query in queries.items()
    ]
    platform.lake.golden_queries.replace(pa.Table.from_pylist(rows, schema=GOLDEN_QUERIES.schema))


def deployment(root: Path, folder: Path, **retraining: Any) -> MemoryPlatform:
    weights = folder / "weights"
    if not weights.exists():
        write_words_model(weights, with_synonyms())
    settings = settings_of(
        root,
        data=str(folder / "data"),
        models={BASE: {"path": str(weights), "kind": "static"}},
        retraining={"pool_contents": 300, "threads": 1, "steps": 100, **retraining},
    )
    platform = MemoryPlatform(settings)
    platform.lake = building.open_lake(folder)
    building.put(
        platform.lake, *(building.chunk(f"guides:{n}", text_of(n)) for n in range(DOCUMENTS))
    )
    ask(platform, {n: synonyms_of(" ".join(text_of(n).split()[:6])) for n in range(DOCUMENTS)})
    embed(platform, BASE, "run", quiet)
    return platform


def quiet(line: str) -> None:
    pass


def test_an_adapter_that_wins_is_served_from_the_vectors_of_its_base(
    root: Path, tmp_path: Path
) -> None:
    platform = deployment(root, tmp_path)
    before = platform.lake.embeddings.version()
    done = retrain.execute_in_process(
        run_config=dg.RunConfig({"train": RetrainConfig(model_version=BASE, reason="a test")}),
        resources={"platform": platform},
    )
    made = done.output_for_node("train")
    name = made["model_version"]
    assert name.startswith(f"{BASE}.qa-") and made["texts"] == 0
    assert {one["verdict"] for one in made["won"].values()} == {"better"}
    assert set(made["won"]) == {"nDCG@10", "R@10", "RR@10"}
    # Its release was asked for on every backend, and the policy has decided.
    requests = platform.lake.release_requests.read().to_pylist()
    assert {(one["backend"], one["model_version"]) for one in requests} == {
        ("milvus", name),
        ("pinecone", name),
    }
    assert all(one["request_id"] == made["releases"][one["backend"]]["request"] for one in requests)
    # Not one vector was written: the index holds the base's, under the adapter's name.
    assert platform.lake.embeddings.version() == before
    state = platform.index_sync("milvus", run_id="test").states.newest(name)
    assert state is not None and state.status == "proven" and state.rows == DOCUMENTS
    query = synonyms_of(" ".join(text_of(5).split()[:6]))
    (asked,) = platform.embedder(name).encode_queries([query])
    (as_base,) = platform.embedder(BASE).encode_queries([query])
    (document,) = platform.embedder(name).encode_documents([text_of(5)])
    assert np.array_equal(document, platform.embedder(BASE).encode_documents([text_of(5)])[0])
    assert asked @ document > as_base @ document
    hits = platform.target("milvus").search(
        state.identity, asked, k=300, scope=contract.Scope.all_tenants()
    )
    (hit,) = (hit for hit in hits if hit.doc_id == "guides:5")
    assert abs(hit.score - asked @ document) < 1e-5
    # A content that comes later gets its vector once, from the base.
    building.put(platform.lake, building.chunk("guides:new", text_of(5000)))
    assert embed(platform, name, "run", quiet).report.texts == 1
    assert embed(platform, BASE, "run", quiet).report.texts == 0
    assert base_of(platform, name) == BASE
    # Its requests are answers to what is wrong with the base, and with every adapter of it.
    for request in ReleaseRequests(platform.lake).all():
        assert answered(platform.settings, "retrain", request) == (Scope(BASE), Scope(name))
        assert answered(platform.settings, "propose_version", request) == ()


@pytest.mark.deep
def test_the_same_inputs_give_the_same_bytes_and_another_seed_does_not(
    root: Path, tmp_path: Path
) -> None:
    names: dict[str, set[str]] = {}
    for method in ("adapter", "fine-tune"):
        for place, seed in (("a", 0), ("b", 0), ("c", 1)):
            platform = deployment(root, tmp_path / method / place, methods=[method], seed=seed)
            name, _ = train_model(platform, BASE, quiet)
            card = read_card(platform.data_dir, name)
            assert (card["threads"], card["seed"]) == (1, seed) and card["torch"]
            learnt = trained_on(platform.data_dir, name)
            assert len(learnt) > 100 and trained_on(platform.data_dir, BASE) == frozenset()
            texts = platform.lake.golden_queries.read(["text"]).column("text").to_pylist()
            asked = {hash_text(text) for text in texts}
            # Some documents, and with them their queries, are held out.
            assert learnt < asked
            names.setdefault(f"{method} {seed}", set()).add(name)
            fingerprint = platform.embedder(name).fingerprint.digest
            names.setdefault(f"{method} {seed} fingerprint", set()).add(fingerprint)
    assert all(len(found) == 1 for found in names.values()), names
    assert names["fine-tune 0"] != names["fine-tune 1"]


@pytest.mark.deep
def test_a_fine_tuned_model_embeds_the_corpus_anew_under_its_own_name(
    root: Path, tmp_path: Path
) -> None:
    platform = deployment(root, tmp_path, methods=["fine-tune"])
    done = retrain.execute_in_process(
        run_config=dg.RunConfig({"train": RetrainConfig(model_version=BASE, reason="a test")}),
        resources={"platform": platform},
    )
    made = done.output_for_node("train")
    assert made["model_version"].startswith(f"{BASE}.ft-") and made["texts"] == DOCUMENTS
    prints = {name: platform.embedder(name).fingerprint for name in (BASE, made["model_version"])}
    assert len({one.weights for one in prints.values()}) == 2
    assert len({one.tokenizer for one in prints.values()}) == 1
    for request in some(ReleaseRequests(platform.lake).all()):
        assert answered(platform.settings, "retrain", request) == (Scope(BASE),)


def test_what_is_learnt_from_noise_is_refused_by_every_method_and_leaves_nothing(
    root: Path, tmp_path: Path
) -> None:
    platform = deployment(root, tmp_path)
    shuffled = np.random.default_rng(0).permutation(DOCUMENTS)
    ask(platform, {n: synonyms_of(text_of(int(shuffled[n]))) for n in range(DOCUMENTS)})
    with pytest.raises(ChallengerRefused, match=r"must be better on every gated metric") as refused:
        train_model(platform, BASE, quiet)
    assert str(refused.value).count("is not proposed") == 2
    assert "nDCG@10" in str(refused.value) and "RR@10" in str(refused.value)
    assert not (platform.data_dir / OWN_MODELS).exists()
    assert list(platform.settings.models) == [BASE]


def test_feedback_adds_to_the_golden_queries_and_a_bad_line_is_named(
    root: Path, tmp_path: Path
) -> None:
    file = tmp_path / "feedback.jsonl"
    platform = deployment(root, tmp_path, feedback=str(file), methods=["adapter"])
    ask(platform, {})
    lines = [
        {"query": synonyms_of(text_of(n)), "doc_id": f"guides:{n}", "label": 1}
        for n in range(DOCUMENTS)
    ]
    file.write_text("\n".join(map(json.dumps, lines)), encoding="utf-8")
    name, comparisons = train_model(platform, BASE, quiet)
    assert read_card(platform.data_dir, name)["pairs"] > 150
    assert comparisons["nDCG@10"].verdict == "better"
    file.write_text(
        '{"query": "w1", "doc_id": "guides:1"}\n{"query": "w1", "doc_id": "x", "label": true}'
    )
    with pytest.raises(ContractError) as caught:
        train_model(platform, BASE, quiet)
    assert caught.value.violations == [
        "line 1: KeyError: 'label'",
        "line 2: label must be a whole number, 0 for no answer",
    ]


def test_too_few_judgements_and_nothing_live_are_refused(root: Path, tmp_path: Path) -> None:
    platform = deployment(root, tmp_path)
    with pytest.raises(CannotBeMade, match="no model version is live"):
        base_of(platform, "")
    ask(platform, {n: f"w{n}" for n in range(20)})
    with pytest.raises(NothingToLearn, match="add golden queries or feedback"):
        train_model(platform, BASE, quiet)
