"""The verdict on the whole: alarms on the right day, with a bound that does not boast."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest

from vector_platform.lake.lake import Lake
from vector_platform.quality.drift.explanation import explain
from vector_platform.quality.drift.novel_share import novel_share_low
from vector_platform.quality.drift.null_distribution import LEAST_P_VALUE
from vector_platform.quality.drift.policy import DriftPolicy
from vector_platform.quality.drift.verdict import DriftVerdict, judge_drift, judge_series
from vector_platform.quality.pictures import plots
from vector_platform.quality.sketches.days import Days
from vector_platform.quality.sketches.series import Series
from vector_platform.quality.statistics import Estimate
from vector_platform_tests.lake.building import MODEL, open_lake
from vector_platform_tests.quality.feature_days import (
    A_DAY,
    REFERENCE_DAYS,
    START,
    Home,
    days_of,
    joined,
    one,
)
from vector_platform_tests.quality.streams import (
    ABROAD,
    FIRST,
    Stream,
    date_of,
    mixed,
    sketch,
    texts,
    vectors,
)

POLICY = DriftPolicy()


@pytest.fixture(scope="module")
def home() -> Home:
    return Home()


def test_a_fifth_from_abroad_alarms_on_its_first_day_and_acts(home: Home) -> None:
    rng = np.random.default_rng(1)
    calm = joined(home.days(rng, 0, REFERENCE_DAYS), home.days(rng, REFERENCE_DAYS, 14))
    verdict = judge_series(one(calm), home.reference, POLICY)
    assert (verdict.outcome, verdict.global_alarm, verdict.acts) == ("stable", False, False)
    assert verdict.novel_share_low < 0.02
    moved = joined(calm, home.days(rng, REFERENCE_DAYS + 14, 1, share=0.2))
    verdict = judge_series(one(moved), home.reference, POLICY)
    assert (verdict.outcome, verdict.global_alarm, verdict.acts) == ("drifted", True, True)
    assert verdict.statistic >= verdict.threshold and verdict.p_value <= 0.01
    assert 0.05 < verdict.novel_share_low <= 0.2
    assert verdict.day == date_of(REFERENCE_DAYS + 14)


def test_an_alarm_below_the_policy_does_not_act(home: Home) -> None:
    rng = np.random.default_rng(2)
    days = joined(home.days(rng, 0, REFERENCE_DAYS), home.days(rng, REFERENCE_DAYS, 14, share=0.15))
    verdict = judge_series(one(days), home.reference, replace(POLICY, least_novel_share=0.3))
    assert verdict.global_alarm and verdict.drifted and not verdict.acts


def test_debris_in_the_texts_is_told_from_a_new_topic(home: Home) -> None:
    rng = np.random.default_rng(5)
    calm = home.days(rng, 0, REFERENCE_DAYS)
    rows = mixed(rng, A_DAY, 0)
    debris = [
        f"<p>{text}</p>&nbsp;" if at < 20 else text for at, text in enumerate(texts(rng, A_DAY))
    ]
    dirty = days_of(home.map(rows, debris), REFERENCE_DAYS)
    verdict = judge_series(one(joined(calm, dirty)), home.reference, POLICY)
    assert verdict.acts and verdict.damaged
    assert 0.05 < verdict.markup_low <= 0.2
    abroad = home.days(rng, REFERENCE_DAYS, 1, share=0.4)
    verdict = judge_series(one(joined(calm, abroad)), home.reference, POLICY)
    assert verdict.acts and not verdict.damaged


def test_a_chance_too_small_to_be_known_is_not_shown(home: Home) -> None:
    rng = np.random.default_rng(4)
    days = joined(home.days(rng, 0, REFERENCE_DAYS), home.days(rng, REFERENCE_DAYS, 7, share=0.9))
    verdict = judge_series(one(days), home.reference, POLICY)
    assert 0 < verdict.p_value < LEAST_P_VALUE
    assert verdict.facts()["p_value"] == LEAST_P_VALUE


def test_the_bound_stays_below_the_truth(home: Home) -> None:
    rng = np.random.default_rng(3)
    columns = home.map.columns
    places = {"events": columns["events"], "cells": columns["cells"]}
    wrong = 0
    for share in (0.0, 0.0, 0.1, 0.2, 0.4):
        for days in (1, 7, 14):
            reference = home.days(rng, 0, REFERENCE_DAYS)
            low = novel_share_low(reference, home.days(rng, 50, days, share=share), **places)
            wrong += low > share
            if share == 0.4 and days >= 7:
                assert low > 0.2
    assert wrong <= 2


@pytest.mark.parametrize(
    ("kept", "reason"),
    [
        (slice(0, REFERENCE_DAYS), "no day has come"),
        (slice(20, None), "reference days have rows"),
    ],
)
def test_too_few_days_are_never_an_alarm(home: Home, kept: slice, reason: str) -> None:
    rng = np.random.default_rng(6)
    days = joined(home.days(rng, 0, REFERENCE_DAYS), home.days(rng, REFERENCE_DAYS, 3, share=1.0))
    few = Days(days.dates[kept], days.rows[kept], days.sums[kept])
    verdict = judge_series(one(few), home.reference, POLICY)
    assert verdict.outcome == "not enough data" and not verdict.global_alarm and not verdict.acts
    assert reason in verdict.reason


def test_days_that_the_test_leaves_out_bound_nothing(home: Home) -> None:
    """A reference without Sundays cannot say what is new on one."""
    rng = np.random.default_rng(8)
    days = joined(
        home.days(rng, 0, REFERENCE_DAYS),
        home.days(rng, REFERENCE_DAYS, 6),
        home.days(rng, REFERENCE_DAYS + 6, 1, share=1.0),
        home.days(rng, REFERENCE_DAYS + 7, 1),
    )
    known = (days.weekdays != 6) | (days.dates > START + REFERENCE_DAYS)
    weekdays = Days(days.dates[known], days.rows[known], days.sums[known])
    verdict = judge_series(one(weekdays), home.reference, POLICY)
    assert (verdict.outcome, verdict.novel_share_low) == ("stable", 0)


def test_a_newest_day_with_few_rows_waits(home: Home) -> None:
    rng = np.random.default_rng(7)
    reference = home.days(rng, 0, REFERENCE_DAYS)
    strange = days_of(home.features(rng, vectors(rng, 20, ABROAD)), REFERENCE_DAYS, rows=20)
    verdict = judge_series(one(joined(reference, strange)), home.reference, POLICY)
    assert verdict.outcome == "not enough data" and "50 rows" in verdict.reason


def test_the_evaluation_id_follows_everything_the_verdict_depends_on(home: Home) -> None:
    rng = np.random.default_rng(8)
    days = joined(home.days(rng, 0, REFERENCE_DAYS), home.days(rng, REFERENCE_DAYS, 3))
    more = Days(days.dates, days.rows + 1, days.sums)
    verdicts = [
        judge_series(one(days), home.reference, POLICY),
        judge_series(one(more), home.reference, POLICY),
        judge_series(one(days), replace(home.reference, sequence=2), POLICY),
        judge_series(one(days), home.reference, replace(POLICY, false_alarms_a_year=0.02)),
        judge_series(Series(days, {("other", "s"): days}), home.reference, POLICY),
    ]
    assert len({verdict.evaluation_id for verdict in verdicts}) == 5
    again = judge_series(one(days), home.reference, POLICY)
    assert again.evaluation_id == verdicts[0].evaluation_id


# -- in the lake ----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    """Six calm weeks and a calm day, then two days with foreign content from one tenant."""
    stream = Stream(open_lake(tmp_path_factory.mktemp("drift")))
    rng = np.random.default_rng(9)
    days = range(REFERENCE_DAYS + 1)
    stream.add_days({day: vectors(rng, 60) for day in days})
    stream.add_days({day: vectors(rng, 40) for day in days}, tenant="other", source="t")
    sketch(stream.lake, REFERENCE_DAYS)
    stream.calm = judge_drift(stream.lake, MODEL, POLICY)  # type: ignore[attr-defined]
    for day in (REFERENCE_DAYS + 1, REFERENCE_DAYS + 2):
        stream.add(day, vectors(rng, 60))
        stream.add(day, vectors(rng, 40, ABROAD), tenant="other", source="t")
    sketch(stream.lake, REFERENCE_DAYS)
    stream.lake.calm = stream.calm  # type: ignore[attr-defined]
    return stream.lake


def test_a_lake_without_a_reference_is_not_enough_data(tmp_path: Path) -> None:
    verdict = judge_drift(open_lake(tmp_path), MODEL, POLICY)
    assert verdict.outcome == "not enough data" and "first reference" in verdict.reason


def test_the_lake_is_calm_and_then_drifts(lake: Lake) -> None:
    calm: DriftVerdict = lake.calm  # type: ignore[attr-defined]
    assert calm.outcome == "stable"
    verdict = judge_drift(lake, MODEL, POLICY)
    assert verdict.global_alarm and verdict.acts
    assert [alarm.name for alarm in verdict.slices_alarmed] == [("other", "t")]
    assert json.dumps(verdict.facts())


def test_a_verdict_reads_no_vector(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("vectors were read")

    monkeypatch.setattr(lake.embeddings, "dataset", refuse)
    assert judge_drift(lake, MODEL, POLICY).drifted


def test_what_moved_is_named_with_examples_old_and_new(lake: Lake) -> None:
    verdict = judge_drift(lake, MODEL, POLICY)
    moved = explain(lake, verdict)
    assert moved.facts()["of"] == "the whole stream"
    top = moved.cells[0]
    assert top["share_now"] > top["share_before"]
    tenants = lake.chunks.read(["chunk_id", "tenant", "text"]).to_pylist()
    of = {row["chunk_id"]: row for row in tenants}
    assert {of[example]["tenant"] for example in top["examples"]} == {"other"}
    assert of[top["nearest_old_chunk"]]["text"] == top["nearest_old_text"]
    assert moved.reference.shape[1] == moved.window.shape[1] == 32
    assert json.dumps(moved.facts())


# -- pictures -------------------------------------------------------------------------------


def test_pictures_are_small_pngs_that_fit_into_markdown() -> None:
    rng = np.random.default_rng(12)
    days = [FIRST + timedelta(days=day) for day in range(90)]
    scores = {f"{width} days": rng.exponential(1, 90) for width in (1, 7, 28)}
    for png in (
        plots.projection(vectors(rng, 3000), mixed(rng, 500, 0.3), title="drift"),
        plots.metric_bars({"a.v1": Estimate(0.6, 0.5, 0.7, 9)}, metric="nDCG@10"),
        plots.score_timeline(days, scores, threshold=6.5, title="calm"),
    ):
        assert png.startswith(b"\x89PNG")
        assert len(png) < 60_000
        assert plots.as_markdown(png, "alt").startswith("![alt](data:image/png;base64,iVBOR")
