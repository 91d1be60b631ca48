from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest

from vector_platform.lake.contract import EVALUATIONS, GOLDEN_QUERIES, canonical_json
from vector_platform.releases.evaluation.evidence import QualityScores
from vector_platform.releases.evaluation.measuring import comparable_scores
from vector_platform_tests.lake.building import START
from vector_platform_tests.releases.deployment import MODELS, Deployment

OLD, NEW = MODELS
METRIC = "nDCG@10"
# Query -> what it asks, and for which document.
ASKED = {
    "g/alive": ("what is zero", "s:0"),
    "g/again": ("What is zero?", "s:0"),
    "g/other": ("tell of one", "s:1"),
    "g/dead": ("what was removed", "s:gone"),
    "g/learnt": ("what was seen in training", "s:2"),
    "g/learnt too": ("in training what was seen", "s:2"),
}


@pytest.fixture
def deployment(tmp_path: Path) -> Deployment:
    found = Deployment(tmp_path)
    rows = [
        {
            "set_name": "g",
            "query_id": query.removeprefix("g/"),
            "text": text,
            "doc_id": doc_id,
            "gain": 1,
            "tenant": "acme",
            "provenance": "test",
        }
        for query, (text, doc_id) in ASKED.items()
    ]
    found.lake.golden_queries.append(pa.Table.from_pylist(rows, schema=GOLDEN_QUERIES.schema))
    return found


def evaluate(deployment: Deployment, model: str, answers: str, seen: list[str]) -> None:
    details = {
        "scores": dict.fromkeys(ASKED, 0.5),
        "judgements": dict.fromkeys(ASKED, "as always"),
        "answers": dict.fromkeys(ASKED, answers),
        "seen": seen,
    }
    row = {
        "evaluation_id": model,
        "kind": "retrieval",
        "subject": "golden_queries",
        "model_version": model,
        "metric": METRIC,
        "value": 0.5,
        "sample_size": len(ASKED),
        "chunks_version": deployment.lake.chunks.version(),
        "details": canonical_json(details),
        "run_id": "run",
        "evaluated_at": START,
    }
    deployment.lake.evaluations.append(pa.Table.from_pylist([row], schema=EVALUATIONS.schema))


def scored(deployment: Deployment) -> QualityScores:
    live = deployment.sync().build(OLD).generation
    state = deployment.sync().build(NEW).generation
    found = comparable_scores(deployment.lake, METRIC, live, state)
    assert found is not None
    return found


def test_what_says_nothing_of_two_models_is_left_out_and_counted(deployment: Deployment) -> None:
    evaluate(deployment, OLD, "these", [])
    evaluate(deployment, NEW, "those", ["g/learnt"])
    found = scored(deployment)
    assert set(found.champion) == set(found.challenger) == {"g/alive", "g/again", "g/other"}
    assert (found.dead, found.seen, found.identical) == (1, 2, False)
    assert found.groups["g/alive"] == found.groups["g/again"] != found.groups["g/other"]
    assert "tenant acme" in found.slices["g/other"]


def test_equal_answers_are_told_from_equal_scores(deployment: Deployment) -> None:
    evaluate(deployment, OLD, "these", [])
    evaluate(deployment, NEW, "these", [])
    assert scored(deployment).identical
