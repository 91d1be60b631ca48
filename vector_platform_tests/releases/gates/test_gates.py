from __future__ import annotations

import json
from dataclasses import replace
from functools import partial
from typing import Any

import pytest

from vector_platform.quality.recall.index_queries import NEW
from vector_platform.quality.recall.index_recall import SliceRecall
from vector_platform.quality.recall.intervals import Recall
from vector_platform.releases.evaluation.changed_answers import ChangedAnswer
from vector_platform.releases.evaluation.evidence import Evidence, QualityScores, evidence_of
from vector_platform.releases.gates.gates import Gate, GateName, judge
from vector_platform.releases.gates.report import as_html, as_markdown, report_facts
from vector_platform.settings import Releases
from vector_platform_tests.releases.samples import MOMENT, evidence, index_recall, scores

CHANGED = (ChangedAnswer("g/q1", "kms", ("s:old",), ("s:new", "s:old")),)


def gate(name: GateName, known: Evidence, **policy: Any) -> Gate:
    report = judge(known, Releases(**policy), moment=MOMENT)
    return next(each for each in report.gates if each.name == name)


def model(quality: QualityScores | None) -> Evidence:
    return evidence(change="model", same_vectors=False, quality=quality)


def test_a_faithful_rebuild_passes_every_gate() -> None:
    report = judge(evidence(), Releases(), moment=MOMENT)
    assert report.outcome == "pass"
    assert [each.name for each in report.gates] == [
        "verify",
        "recall",
        "quality",
        "latency",
        "freeze",
    ]


def test_a_generation_that_differs_from_the_lake_or_lags_behind_it_fails() -> None:
    assert gate("verify", evidence(differences="1 missing")).outcome == "fail"
    behind = gate("verify", evidence(newest_snapshot="chunks@8 abc"))
    assert behind.outcome == "fail" and "chunks@8" in behind.why


def recall(mean: float, low: float, high: float, queries: int) -> Recall:
    return Recall(mean, low, high, queries, trials=float(queries))


GOOD = recall(0.95, 0.93, 0.97, 400)


@pytest.mark.parametrize(
    ("whole", "slices", "outcome"),
    [
        (recall(0.99, 0.97, 1.0, 200), [], "pass"),
        (recall(0.80, 0.75, 0.85, 200), [], "fail"),
        (recall(0.91, 0.88, 0.94, 200), [], "undecided"),
        (GOOD, [SliceRecall(NEW, recall(0.5, 0.4, 0.6, 60), below=True)], "fail"),
        # Its interval alone lies below the floor, but not all slices judged together (Holm).
        (GOOD, [SliceRecall(NEW, recall(0.87, 0.84, 0.899, 60))], "undecided"),
        (GOOD, [SliceRecall(NEW, recall(0.88, 0.8, 0.95, 60))], "undecided"),
        (GOOD, [SliceRecall(NEW, recall(0.93, 0.85, 0.97, 60))], "pass"),
        # Too few queries to be judged.
        (GOOD, [SliceRecall(NEW, recall(0.5, 0.4, 0.6, 20))], "undecided"),
        (GOOD, [SliceRecall(NEW, recall(0.88, 0.8, 0.95, 20))], "pass"),
    ],
)
def test_recall_is_judged_as_a_whole_and_by_slice(
    whole: Recall, slices: list[SliceRecall], outcome: str
) -> None:
    found = gate("recall", evidence(index_recall=index_recall(whole, *slices)))
    assert found.outcome == outcome
    if slices and outcome != "pass":
        assert NEW in found.why


def test_recall_that_was_not_measured_is_undecided() -> None:
    assert gate("recall", evidence(index_recall=None)).outcome == "undecided"
    nothing = index_recall(recall(1.0, 0.0, 1.0, 0))
    golden_alone = replace(nothing, queries=9)
    assert gate("recall", evidence(index_recall=golden_alone)).outcome == "undecided"
    assert gate("recall", evidence(index_recall=nothing, rows=0)).outcome == "undecided"


def test_a_first_document_without_a_neighbour_is_released() -> None:
    alone = index_recall(recall(1.0, 0.0, 1.0, 0))
    found = gate("recall", evidence(index_recall=alone, rows=1))
    assert (found.outcome, found.why) == (
        "pass",
        "no row has another one of its tenant to be found",
    )


def test_quality_passes_with_enough_queries_and_no_loss() -> None:
    found = gate("quality", model(scores(0.0, queries=500)), quality_margin=0.02)
    assert found.outcome == "pass"
    assert found.numbers["queries"] == 500


def test_too_few_queries_never_pass_by_looking_alike() -> None:
    for queries in (1, 5, 19, 20, 60, 120):
        found = gate("quality", model(scores(0.0, queries=max(queries, 2))), quality_margin=0.02)
        assert found.outcome == "undecided", queries
        assert "too few" in found.why or "decide nothing" in found.why


def test_few_queries_are_enough_to_show_that_a_model_is_better() -> None:
    assert gate("quality", model(scores(-0.2, queries=40))).outcome == "pass"
    assert gate("quality", model(scores(-0.2, queries=10))).outcome == "undecided"


def test_a_model_that_loses_more_than_the_margin_fails() -> None:
    assert gate("quality", model(scores(0.05))).outcome == "fail"
    assert gate("quality", model(scores(0.2, queries=40))).outcome == "fail"


def test_a_slice_that_the_mean_hides_fails_the_gate() -> None:
    hidden = scores(-0.02, queries=1000, slices=10, sick=0.2)
    found = gate("quality", model(hidden))
    assert found.outcome == "fail" and "t0" in found.why
    assert gate("quality", model(hidden), slice_margin=0.5).outcome == "pass"


def test_a_slice_of_fewer_than_fifty_queries_is_not_judged() -> None:
    found = gate("quality", model(scores(-0.02, queries=400, slices=10, sick=0.2)))
    assert found.table == ()


def test_dead_queries_dilute_nothing_and_too_many_of_them_decide_nothing() -> None:
    alive = scores(0.06, queries=120)
    assert gate("quality", model(replace(alive, dead=30))).outcome == "fail"
    found = gate("quality", model(replace(alive, dead=400)))
    assert found.outcome == "undecided"
    assert "400 of 520 golden queries ask for documents that are gone" in found.why


def test_a_model_that_was_trained_on_every_query_is_not_judged() -> None:
    found = gate("quality", model(QualityScores("nDCG@10", {}, {}, {}, seen=60)))
    assert found.outcome == "undecided" and "trained on all 60" in found.why


def test_quality_that_was_not_measured_is_undecided() -> None:
    assert gate("quality", model(None)).outcome == "undecided"
    assert gate("quality", evidence(champion=None, change="first")).outcome == "pass"


@pytest.mark.parametrize(
    ("times", "outcome"),
    [(1.0, "pass"), (1.5, "pass"), (5.0, "fail"), (0.1, "pass")],
)
def test_latency_is_compared_with_the_live_generation(times: float, outcome: str) -> None:
    known = evidence()
    slower = evidence(challenger_ms=tuple(ms * times for ms in known.champion_ms))
    assert gate("latency", slower, max_latency_ratio=2.0).outcome == outcome


def test_a_busy_moment_of_the_machine_is_not_a_slow_index() -> None:
    quiet = tuple(10.0 + number % 7 for number in range(60))
    moments = tuple(ms * 9 if number % 17 == 0 else ms for number, ms in enumerate(quiet))
    busy = evidence(champion_ms=quiet, challenger_ms=moments)
    found = gate("latency", busy)
    assert found.numbers["ratio"] > 2  # type: ignore[operator]
    assert found.outcome == "pass"


def test_latency_below_what_anybody_notices_passes_whatever_the_ratio() -> None:
    quick = evidence(champion_ms=(0.2,) * 60, challenger_ms=(2.0,) * 60)
    assert gate("latency", quick).outcome == "pass"


def test_latency_without_enough_queries_is_undecided() -> None:
    assert gate("latency", evidence(champion_ms=(), challenger_ms=())).outcome == "undecided"
    few = evidence(champion_ms=(10.0,) * 9, challenger_ms=(10.0,) * 9)
    assert gate("latency", few).outcome == "undecided"


def test_the_same_evidence_gives_the_same_bytes_also_after_it_was_kept() -> None:
    known = replace(model(scores(0.004, slices=5)), changed=CHANGED)
    kept = evidence_of(json.loads(json.dumps(known.facts())))
    assert kept == known
    for render in (report_facts, partial(as_markdown, names={}), partial(as_html, names={})):
        first, second = (render(judge(each, Releases(), moment=MOMENT)) for each in (known, kept))
        assert first == second


def test_every_report_shows_the_changed_answers_by_the_names_that_are_known() -> None:
    report = judge(replace(model(scores(0.0)), changed=CHANGED), Releases(), moment=MOMENT)
    names = {"g/q1": "rotate <keys>?", "s:new": "Keys"}
    page, text = as_html(report, names), as_markdown(report, names)
    for shown in (text, page):
        assert "look before you approve" in shown and "1. Keys; 2. s:old" in shown
    assert "rotate &lt;keys&gt;?" in page
    assert report_facts(report)["changed_answers"][0]["after"] == ("s:new", "s:old")


def test_the_three_reports_say_the_same_and_escape_what_they_show() -> None:
    known = evidence(differences="<b>1 | missing</b>", model_version="m.v1")
    report = judge(known, Releases(), moment=MOMENT)
    assert report_facts(report)["outcome"] == "fail"
    assert "1 \\| missing" in as_markdown(report, {})
    page = as_html(report, {})
    assert "<b>" not in page and "&lt;b&gt;" in page
    for name in ("verify", "recall", "quality", "latency", "freeze"):
        assert name in as_markdown(report, {}) and name in page
