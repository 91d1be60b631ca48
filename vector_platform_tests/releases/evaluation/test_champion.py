"""A model version against the record of the live model, paired by golden query."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from vector_platform.lake.contract import EVALUATIONS, RELEASES, canonical_json
from vector_platform.lake.lake import Lake
from vector_platform.releases.evaluation.champion import (
    NotEvaluated,
    QualityVerdict,
    compare_with_champion,
)
from vector_platform.releases.pointer.live import LivePointer
from vector_platform_tests.lake.building import open_lake

OLD, NEW = "old.v1", "new.v1"
METRIC = "nDCG@10"
DAY_0 = datetime(2026, 1, 1, tzinfo=UTC)
GOOD = {f"q{n}": 0.5 + 0.005 * (n % 80) for n in range(80)}


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return open_lake(tmp_path)


def evaluated(
    lake: Lake,
    model: str,
    scores: dict[str, float],
    *,
    day: int,
    judgements: dict[str, str] | None = None,
) -> str:
    """Record an evaluation; without judgements of its own, every query is judged as always."""
    judged = dict.fromkeys(scores, "as always") | (judgements or {})
    details = {"scores": scores, "judgements": judged, "answers": {}, "seen": []}
    return recorded(lake, model, scores, details, day=day)


def recorded(
    lake: Lake, model: str, scores: dict[str, float], details: dict[str, Any], *, day: int
) -> str:
    row = {
        "evaluation_id": f"{model}@{day}",
        "kind": "retrieval",
        "subject": "golden_queries",
        "model_version": model,
        "metric": METRIC,
        "value": float(np.mean(list(scores.values()))),
        "sample_size": len(scores),
        "chunks_version": day,
        "details": canonical_json(details),
        "run_id": "run",
        "evaluated_at": DAY_0 + timedelta(days=day),
    }
    lake.evaluations.append(pa.Table.from_pylist([row], schema=EVALUATIONS.schema))
    return f"{model}@{day}"


def released(lake: Lake, model: str, *, day: int) -> None:
    sequence = lake.releases.read().num_rows + 1
    row = {
        "backend": "milvus",
        "index": "documents",
        "sequence": sequence,
        "generation": f"g{sequence:04d}",
        "model_version": model,
        "previous_generation": None,
        "actor": "test",
        "reason": "test",
        "evidence": "{}",
        "run_id": "run",
        "released_at": DAY_0 + timedelta(days=day, hours=12),
    }
    lake.releases.append(pa.Table.from_pylist([row], schema=RELEASES.schema))


def less(scores: dict[str, float], by: float) -> dict[str, float]:
    return {query: score - by for query, score in scores.items()}


def verdict(lake: Lake, model: str) -> QualityVerdict:
    pointers = [LivePointer(lake, name, "documents") for name in ("pinecone", "milvus")]
    return compare_with_champion(lake, pointers, model, metric=METRIC)


def test_nothing_live_holds_and_says_so(lake: Lake) -> None:
    evaluated(lake, OLD, GOOD, day=0)
    found = verdict(lake, OLD)
    assert found.holds and found.facts()["verdict"] == "nothing is live yet"


def test_the_live_model_is_held_to_its_own_record_at_its_release(lake: Lake) -> None:
    record = evaluated(lake, OLD, GOOD, day=0)
    released(lake, OLD, day=0)
    assert verdict(lake, OLD).facts()["verdict"] == "this evaluation is the champion's record"
    for day in range(1, 5):  # A slow decline, each step too small to see.
        evaluated(lake, OLD, less(GOOD, 0.004 * day), day=day)
    found = verdict(lake, OLD)
    facts = found.facts()
    assert not found.holds
    assert (facts["champion_evaluation_id"], facts["verdict"]) == (record, "worse")
    assert facts["difference"] == pytest.approx(-0.016)
    assert facts["difference_low"] <= facts["difference"] <= facts["difference_high"]
    assert facts["evaluation_id"] == f"{OLD}@4"


def test_a_rebuild_of_the_same_model_does_not_lower_the_bar(lake: Lake) -> None:
    record = evaluated(lake, OLD, GOOD, day=0)
    released(lake, OLD, day=0)
    evaluated(lake, OLD, less(GOOD, 0.05), day=1)
    released(lake, OLD, day=1)
    found = verdict(lake, OLD)
    assert not found.holds and found.facts()["champion_evaluation_id"] == record


def test_a_model_that_went_and_came_back_is_held_to_its_second_release(lake: Lake) -> None:
    evaluated(lake, OLD, GOOD, day=0)
    released(lake, OLD, day=0)
    released(lake, NEW, day=1)
    again = evaluated(lake, OLD, less(GOOD, 0.05), day=2)
    released(lake, OLD, day=2)
    evaluated(lake, OLD, less(GOOD, 0.05), day=3)
    assert verdict(lake, OLD).facts()["champion_evaluation_id"] == again


def test_a_challenger_is_compared_with_the_champion_and_may_be_worse(lake: Lake) -> None:
    evaluated(lake, OLD, GOOD, day=0)
    released(lake, OLD, day=0)
    evaluated(lake, NEW, less(GOOD, -0.1), day=1)
    assert verdict(lake, NEW).facts()["verdict"] == "better"
    evaluated(lake, NEW, less(GOOD, 0.1), day=2)
    found = verdict(lake, NEW)
    assert not found.holds and found.facts()["champion"] == OLD


def test_too_few_queries_decide_nothing_and_pass(lake: Lake) -> None:
    few = dict(list(GOOD.items())[:10])
    evaluated(lake, OLD, few, day=0)
    released(lake, OLD, day=0)
    evaluated(lake, OLD, less(few, 0.3), day=1)
    found = verdict(lake, OLD)
    assert found.holds and found.facts()["verdict"] == "undecided"


def test_only_queries_that_both_have_answered_are_paired(lake: Lake) -> None:
    evaluated(lake, OLD, GOOD, day=0)
    released(lake, OLD, day=0)
    later = {query: score for query, score in GOOD.items() if query > "q3"} | {"another": 0.0}
    evaluated(lake, OLD, later, day=1)
    found = verdict(lake, OLD)
    assert found.comparison is not None
    assert found.comparison.difference.count == len(later) - 1
    assert found.comparison.difference.mean == 0


def test_a_changed_judgement_is_no_fall(lake: Lake) -> None:
    evaluated(lake, OLD, GOOD, day=0)
    released(lake, OLD, day=0)
    changed = dict.fromkeys(list(GOOD)[:40], "an answer more")
    evaluated(lake, OLD, GOOD | less({q: GOOD[q] for q in changed}, 0.4), day=1, judgements=changed)
    found = verdict(lake, OLD)
    assert found.holds and found.comparison is not None
    assert found.comparison.difference.count == len(GOOD) - len(changed)
    assert found.comparison.difference.mean == 0


def test_a_fall_is_seen_on_the_queries_that_are_judged_as_before(lake: Lake) -> None:
    evaluated(lake, OLD, GOOD, day=0)
    released(lake, OLD, day=0)
    changed = dict.fromkeys(list(GOOD)[:40], "an answer less")
    evaluated(lake, OLD, less(GOOD, 0.1), day=1, judgements=changed)
    found = verdict(lake, OLD)
    assert not found.holds and found.facts()["queries"] == len(GOOD) - len(changed)


@pytest.mark.parametrize(
    ("alike", "said"), [(19, "undecided"), (0, "no golden query was judged alike in both")]
)
def test_too_few_queries_that_are_judged_as_before_decide_nothing(
    lake: Lake, alike: int, said: str
) -> None:
    evaluated(lake, OLD, GOOD, day=0)
    released(lake, OLD, day=0)
    changed = dict.fromkeys(list(GOOD)[alike:], "an answer more")
    evaluated(lake, OLD, less(GOOD, 0.4), day=1, judgements=changed)
    found = verdict(lake, OLD)
    assert found.holds and found.facts()["verdict"] == said


def test_an_evaluation_that_does_not_say_its_judgements_is_no_record(lake: Lake) -> None:
    recorded(lake, OLD, GOOD, {"scores": GOOD}, day=0)
    released(lake, OLD, day=0)
    with pytest.raises(NotEvaluated, match="materialise quality/retrieval"):
        verdict(lake, OLD)
    record = evaluated(lake, OLD, less(GOOD, 0.4), day=1)
    assert verdict(lake, OLD).facts()["verdict"] == "this evaluation is the champion's record"
    evaluated(lake, OLD, less(GOOD, 0.5), day=2)
    found = verdict(lake, OLD)
    assert not found.holds and found.facts()["champion_evaluation_id"] == record


def test_a_model_without_an_evaluation_is_an_error(lake: Lake) -> None:
    with pytest.raises(NotEvaluated, match="materialise quality/retrieval"):
        verdict(lake, NEW)
