"""A model upgrade and its rollback: what is embedded, what readers see, and when.

The tests of this file are one story on one deployment, told in their order. The first model
reads eight tokens of a text and so can hardly tell the pages apart; the second reads all.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from vector_platform.indexes.contract import Scope
from vector_platform.orchestration import keys
from vector_platform.orchestration.corpus.marts import staging_keys
from vector_platform_tests.integration.deployments import BACKENDS, STATIC, Deployment, running
from vector_platform_tests.some import some

pytestmark = [pytest.mark.deep, pytest.mark.integration]

DAYS = [date(2026, 1, day) for day in range(5, 8)]
SHORT, LONG = "words.short", "words.long"
MODELS = {SHORT: STATIC | {"max_tokens": 8}, LONG: STATIC}
TOPICS = [
    "coffee machine descaling", "bicycle cellar key", "fire drill assembly", "parcel locker code",
    "window cleaning rota", "solar roof inverter", "rain water pump", "mouse trap bait",
    "piano tuning visit", "yoga mat storage", "chess club evening", "herb garden watering",
    "laundry drum bearing", "hearing loop battery", "snow shovel depot", "wasp nest removal",
    "choir rehearsal room", "blood donor van", "tax form archive", "visitor wifi password",
    "elevator weight limit", "carpet stain remover", "night guard phone", "bread oven lease",
    "dog walking lawn", "glass recycling bin", "school holiday camp", "flag pole rope",
    "lost umbrella shelf", "compost heap thermometer",
]  # fmt: skip
TENANTS = ["north", "south", "west"]
DELETED = "p4"


def write_pages(root: Path, *, without: str = "") -> None:
    rows = [
        {
            "id": f"p{number}",
            "text": f"From the handbook of the house, page as printed: {topic}, ask about it.",
            "tenant": TENANTS[number % 3],
        }
        for number, topic in enumerate(TOPICS)
    ]
    kept = [json.dumps(row) for row in rows if row["id"] != without]
    (root / "pages.jsonl").write_text("\n".join(kept), encoding="utf-8")


def write_golden_queries(root: Path) -> None:
    (root / "golden").mkdir()
    queries, judgements = [], ["query-id\tcorpus-id\tscore"]
    for number, topic in enumerate(TOPICS):
        if f"p{number}" != DELETED:
            queries.append(json.dumps({"_id": f"q{number}", "text": topic}))
            judgements.append(f"q{number}\tp{number}\t1")
    (root / "golden" / "queries.jsonl").write_text("\n".join(queries), encoding="utf-8")
    (root / "golden" / "qrels.tsv").write_text("\n".join(judgements), encoding="utf-8")


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    root = tmp_path_factory.mktemp("models")
    write_pages(root)
    write_golden_queries(root)
    fields = {"key": "id", "text": "text", "tenant": "tenant"}
    with running(
        root,
        sources={"pages": {"kind": "files", "path": "pages.jsonl", "fields": fields}},
        golden_queries={"topics": {"source": "pages", "kind": "beir", "path": "golden"}},
        models={SHORT: MODELS[SHORT]},
    ) as deployment:
        yield deployment


def behind_the_milvus_alias(home: Deployment) -> tuple[str, set[str]]:
    """The collection that the alias stands for, and all documents an outside reader finds."""
    with closing(home.milvus()) as client:
        found = client.query("documents_live", filter='id != ""', output_fields=["doc_id"])
        collection = client.describe_alias("documents_live")["collection_name"]
    return collection, {row["doc_id"] for row in found}


def behind_the_pinecone_aliases(home: Deployment, model_version: str) -> set[str]:
    """All documents that an outside reader finds who knows the tenants' names only."""
    (probe,) = home.platform.embedder(model_version).encode_queries(["handbook"]).tolist()
    query = {"type": "dense_vector", "field": "vector", "values": probe}
    found: set[str] = set()
    with home.pinecone_index(model_version) as index:
        for tenant in TENANTS:
            answer = index.documents.search(
                namespace=tenant, score_by=[query], top_k=100, include_fields=["doc_id"]
            )
            found |= {match.to_dict()["doc_id"] for match in answer.matches}
    return found


def assert_readers_see(home: Deployment, model_version: str, documents: int) -> None:
    """Through our own search, and through each backend's aliases with plain clients."""
    for backend in BACKENDS:
        assert home.live(backend) == model_version
        found = home.searcher.search(TOPICS[0], scope=Scope.all_tenants(), backend=backend, k=100)
        assert found.source.model_version == model_version
        assert len(found.hits) == documents
    generation = home.generation("milvus", model_version).generation
    collection, through_milvus = behind_the_milvus_alias(home)
    assert collection == f"documents_{generation}"
    through_pinecone = behind_the_pinecone_aliases(home, model_version)
    assert len(through_milvus) == documents
    assert through_pinecone == through_milvus


def measured(home: Deployment, stages: dict[str, Any], model_version: str) -> float:
    stage = stages[f"retrieval quality {model_version}"]
    return float(home.facts(stage, "quality/retrieval")["nDCG@10"])


def test_the_first_model_goes_live_by_itself(home: Deployment) -> None:
    stages = home.converge(DAYS[0])
    assert measured(home, stages, SHORT) < 0.5
    assert_readers_see(home, SHORT, len(TOPICS))


def test_a_second_model_embeds_only_its_own_partition_and_is_promoted_by_approval_for_being_better(
    home: Deployment,
) -> None:
    before = home.platform.lake.embeddings.read(where=[("model_version", "==", SHORT)])
    home.described["models"] = MODELS
    home.save()
    stages = home.converge(DAYS[0])
    assert not stages["chunks"].ran
    assert not stages[f"embeddings and indexes {SHORT}"].ran
    indexed = stages[f"embeddings and indexes {LONG}"]
    assert home.facts(indexed, "lake/embeddings")["texts"] == len(TOPICS)
    table = home.platform.lake.embeddings
    assert table.read(where=[("model_version", "==", SHORT)]).sort_by("content_hash") == (
        before.sort_by("content_hash")
    )
    assert measured(home, stages, LONG) > 0.9
    assert "it waits for 1 approval" in stages["release"].summary
    assert_readers_see(home, SHORT, len(TOPICS))
    for request in json.loads(home.cli("release", "requests", "--json").out):
        assert f"{LONG} is better" in request["reason"]
        approved = home.cli("release", "approve", request["request_id"], "--reason", "a test")
        assert approved.code == 0, approved.err
    assert_readers_see(home, LONG, len(TOPICS))
    assert not any(stage.changed for stage in some(home.converge(DAYS[0]).values()))


def test_a_rollback_brings_the_old_model_back_without_what_was_deleted_meanwhile(
    home: Deployment,
) -> None:
    write_pages(home.root, without=DELETED)
    home.runs.job("ingest_day", partition=DAYS[1].isoformat())
    home.runs.materialize(staging_keys(home.platform.settings))
    home.runs.materialize([keys.CHUNKS])
    synced = home.cli("index", "sync", "--model", LONG)
    assert synced.code == 0, synced.err
    assert_readers_see(home, LONG, len(TOPICS) - 1)
    # Nobody has told the previous generation of the deletion yet.
    assert len(home.stored("milvus", SHORT)) == len(TOPICS)
    back = home.cli("release", "rollback", "--reason", "a rehearsal")
    assert back.code == 0, back.err
    assert back.out.count(f"{SHORT} g0001 is now live, rolled back from g0002: a rehearsal") == 2
    assert_readers_see(home, SHORT, len(TOPICS) - 1)
    for backend in BACKENDS:
        assert home.stored(backend, SHORT) == home.desired(SHORT)
        history = home.platform.live_pointer(backend).history()
        assert [move.model_version for move in history] == [SHORT, LONG, SHORT]


def test_a_model_promoted_by_name_goes_live_again(home: Deployment) -> None:
    promoted = home.cli("release", "promote", LONG, "--reason", "the rehearsal is over")
    assert promoted.code == 0, promoted.err
    assert_readers_see(home, LONG, len(TOPICS) - 1)
