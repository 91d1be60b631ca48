"""Slices: which alarm, how much of each is new, and what is shown of the one that changed most."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from itertools import product

import numpy as np
import pytest

from vector_platform.lake.lake import Lake
from vector_platform.quality.drift.explanation import explain
from vector_platform.quality.drift.policy import DriftPolicy
from vector_platform.quality.drift.slice_alarms import Slice
from vector_platform.quality.drift.verdict import DriftVerdict, judge_drift, judge_series
from vector_platform.quality.sketches.days import Days
from vector_platform.remediation.checks import DRIFT
from vector_platform.remediation.diagnosis import diagnose
from vector_platform.remediation.faults import Verdict
from vector_platform_tests.lake.building import MODEL, open_lake
from vector_platform_tests.quality.feature_days import (
    A_DAY,
    REFERENCE_DAYS,
    Home,
    days_of,
    joined,
    together,
)
from vector_platform_tests.quality.streams import (
    ABROAD,
    Stream,
    date_of,
    mixed,
    sketch,
    texts,
    vectors,
)

POLICY = DriftPolicy()
TENANTS = 8


@pytest.fixture(scope="module")
def home() -> Home:
    return Home()


def tenants(
    home: Home, *, days: int, moved: dict[int, float], seed: int = 1, count: int = TENANTS
) -> dict[Slice, Days]:
    """Tenants of equal size; of some, a share of the newest days is from abroad."""
    rng = np.random.default_rng(seed)
    return {
        (f"t{number}", "s"): joined(
            home.days(rng, 0, REFERENCE_DAYS),
            home.days(rng, REFERENCE_DAYS, days, share=moved.get(number, 0)),
        )
        for number in range(count)
    }


def judged(home: Home, policy: DriftPolicy = POLICY, **stream: object) -> DriftVerdict:
    slices = tenants(home, **stream)  # type: ignore[arg-type]
    return judge_series(together(slices), home.reference, policy)


def actions(verdict: DriftVerdict) -> list[tuple[str, str, str]]:
    """What the verdict alone leads to: kind, action and tenant."""
    alone = Verdict(DRIFT, "lake/embeddings", MODEL, not verdict.drifted, facts=verdict.facts())
    found = diagnose(MODEL, [alone], backends=())
    return [(one.kind, one.action, one.scope.tenant) for one in found]


# -- which, and how much ----------------------------------------------------------------------


def test_only_the_slice_that_moved_alarms_and_the_whole_stays_quiet(home: Home) -> None:
    verdict = judged(home, days=2, moved={3: 0.3})
    (alarm,) = verdict.slices_alarmed
    assert (alarm.name, verdict.slices_judged) == (("t3", "s"), TENANTS)
    assert (verdict.outcome, verdict.global_alarm) == ("drifted", False)
    assert alarm.statistic >= alarm.threshold and alarm.p_value <= 0.05 / TENANTS
    # Two days are new; a window of three begins no earlier than they do.
    assert date_of(REFERENCE_DAYS) <= alarm.since <= alarm.until == verdict.day
    assert (alarm.window_rows, alarm.reference_rows) == (2 * A_DAY, REFERENCE_DAYS * A_DAY)


def test_a_slice_of_which_a_third_is_new_acts(home: Home) -> None:
    verdict = judged(home, days=2, moved={3: 0.3})
    (alarm,) = verdict.slices_alarmed
    assert alarm.acts and 0.1 < alarm.novel_share_low <= 0.3
    assert actions(verdict) == [("slice_moved", "quarantine_slice", "t3")]


@pytest.mark.deep
def test_a_slice_that_surely_moved_a_little_is_watched(home: Home) -> None:
    verdict = judged(home, days=28, moved={3: 0.06})
    (alarm,) = verdict.slices_alarmed
    assert not verdict.global_alarm and alarm.p_value < 1e-4
    assert not alarm.acts and 0.02 < alarm.novel_share_low <= 0.05
    assert actions(verdict) == [("slice_moved", "observe", "t3")]
    # The bar is the policy's: the same alarm acts where less is enough.
    verdict = judged(home, replace(POLICY, least_novel_share=0.02), days=28, moved={3: 0.06})
    assert actions(verdict) == [("slice_moved", "quarantine_slice", "t3")]


def test_a_slice_that_acts_is_not_hidden_by_a_whole_that_hardly_moves(home: Home) -> None:
    verdict = judged(home, days=7, moved={3: 0.3})
    assert verdict.global_alarm and not verdict.acts
    assert verdict.slice_meant is verdict.slices_alarmed[0]
    assert actions(verdict) == [("slice_moved", "quarantine_slice", "t3")]


def test_a_whole_that_acts_leaves_its_slices_alone(home: Home) -> None:
    verdict = judged(home, days=7, moved=dict.fromkeys(range(TENANTS), 0.3))
    assert verdict.acts and len(verdict.slices_alarmed) == TENANTS
    assert verdict.slice_meant is None
    assert [found[0] for found in actions(verdict)] == ["distribution_moved"]


def test_the_slice_that_changed_most_comes_first(home: Home) -> None:
    verdict = judged(home, days=3, moved={1: 0.2, 4: 0.9, 6: 0.4})
    assert [alarm.tenant for alarm in verdict.slices_alarmed] == ["t4", "t6", "t1"]


def test_numbers_of_a_slice_come_with_its_name(home: Home) -> None:
    verdict = judged(home, days=2, moved={3: 0.3})
    facts = json.loads(json.dumps(verdict.facts()))
    (shown,) = facts["slices_alarmed"]
    assert next(iter(shown)) == "novel_share_low"
    assert (shown["tenant"], shown["source"]) == ("t3", "s")
    assert (shown["window_rows"], shown["reference_rows"]) == (2 * A_DAY, REFERENCE_DAYS * A_DAY)
    assert (facts["slices_acting"], facts["slice_novel_share_low"]) == (1, shown["novel_share_low"])


def test_debris_in_one_slice_is_told_from_news_in_it(home: Home) -> None:
    slices = tenants(home, days=2, moved={})
    rng = np.random.default_rng(5)
    debris = [f"<p>{text}</p>&nbsp;" for text in texts(rng, A_DAY)]
    dirty = days_of(home.map(mixed(rng, A_DAY, 0), debris), REFERENCE_DAYS + 2)
    rest = {
        name: joined(days, home.days(rng, REFERENCE_DAYS + 2, 1)) for name, days in slices.items()
    }
    verdict = judge_series(
        together(rest | {("t3", "s"): joined(slices["t3", "s"], dirty)}), home.reference, POLICY
    )
    assert verdict.slices_alarmed[0].name == ("t3", "s")
    assert verdict.slices_alarmed[0].damaged and verdict.slices_alarmed[0].markup_low > 0.2
    (news,) = judged(home, days=2, moved={3: 0.3}).slices_alarmed
    assert news.acts and not news.damaged and news.markup_low == 0


@pytest.mark.deep
def test_the_bound_of_a_slice_stays_below_the_truth_among_many(home: Home) -> None:
    wrong = shown = 0
    for seed, share in product(range(6), (0.1, 0.2, 0.4)):
        verdict = judged(home, days=3, moved={3: share}, seed=seed)
        shown += len(verdict.slices_alarmed)
        for alarm in verdict.slices_alarmed:
            wrong += alarm.novel_share_low > (share if alarm.tenant == "t3" else 0)
    assert shown >= 12 and wrong <= 1


def test_the_fewer_of_many_alarm_the_surer_is_each_bound(home: Home) -> None:
    (among_many,) = judged(home, days=2, moved={0: 0.3}).slices_alarmed
    (among_two,) = judged(home, days=2, moved={0: 0.3}, count=2).slices_alarmed
    assert (among_many.confidence, among_two.confidence) == (1 - 0.05 / TENANTS, 1 - 0.05 / 2)
    assert among_many.novel_share_low < among_two.novel_share_low


def test_the_time_line_of_a_slice_begins_after_its_reference(home: Home) -> None:
    (alarm,) = judged(home, days=28, moved={3: 0.06}).slices_alarmed
    assert len(alarm.looks.dates) == 28
    assert alarm.looks.scores[-1].max() == alarm.statistic
    assert alarm.looks.scores[0].max() < alarm.threshold


# -- too little data --------------------------------------------------------------------------


def test_a_slice_with_few_rows_or_days_is_not_judged(home: Home) -> None:
    slices = tenants(home, days=2, moved={0: 0.9, 1: 0.9, 2: 0.9}, count=5)
    sparse, young, late = (slices[f"t{number}", "s"] for number in range(3))
    slices["t0", "s"] = Days(sparse.dates, sparse.rows / 50, sparse.sums / 50)
    slices["t1", "s"] = Days(young.dates[-12:], young.rows[-12:], young.sums[-12:])
    newest = np.where(late.dates > late.dates[REFERENCE_DAYS - 1], 0.1, 1.0)
    slices["t2", "s"] = Days(late.dates, late.rows * newest, late.sums * newest[:, None])
    whole = tenants(home, days=2, moved={}, count=5)
    series = replace(together(whole), slices=slices)
    verdict = judge_series(series, home.reference, POLICY)
    # Two are whole; of the third one the 20 newest rows are too few for a test, and for a bound.
    assert (verdict.slices_judged, verdict.slices_alarmed) == (2, ())
    verdict = judge_series(series, home.reference, replace(POLICY, min_rows=20))
    assert [alarm.name for alarm in verdict.slices_alarmed] == [("t2", "s")]


@pytest.mark.deep
def test_a_small_slice_is_watched_until_its_days_suffice_for_a_bound(home: Home) -> None:
    rng = np.random.default_rng(8)
    others = tenants(home, days=14, moved={})
    shares = [0.0] * REFERENCE_DAYS + [0.12] * 14
    small = [
        days_of(home.features(rng, mixed(rng, 50, share)), day, rows=50)
        for day, share in enumerate(shares)
    ]
    acted = []
    for day in range(REFERENCE_DAYS, len(shares)):
        until = int(small[day].dates[0])
        slices = {name: days.between(0, until) for name, days in others.items()}
        slices["t0", "s"] = joined(*small[: day + 1])
        verdict = judge_series(together(slices), home.reference, POLICY)
        acted += [alarm.acts for alarm in verdict.slices_alarmed]
    assert (acted[0], acted[-1]) == (False, True)


# -- what moved -------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    """Three tenants; the small one turns to foreign content for three days."""
    stream = Stream(open_lake(tmp_path_factory.mktemp("slices")))
    rng = np.random.default_rng(9)
    days = range(REFERENCE_DAYS + 3)
    for tenant, source, rows in (("acme", "s", 90), ("other", "t", 80)):
        stream.add_days({day: vectors(rng, rows) for day in days}, tenant=tenant, source=source)
    calm = {day: vectors(rng, 20) for day in days[:REFERENCE_DAYS]}
    stream.add_days(calm, tenant="small", source="t")
    for day in days[REFERENCE_DAYS:]:
        stream.add(day, vectors(rng, 10), tenant="small", source="t")
        stream.add(day, vectors(rng, 10, ABROAD), tenant="small", source="t")
    sketch(stream.lake, REFERENCE_DAYS)
    return stream.lake


@pytest.mark.deep
def test_the_slice_that_alarms_is_explained_from_its_own_days_and_contents(lake: Lake) -> None:
    verdict = judge_drift(lake, MODEL, POLICY)
    assert not verdict.global_alarm
    assert [alarm.name for alarm in verdict.slices_alarmed] == [("small", "t")]
    moved = explain(lake, verdict)
    assert moved.facts()["of"] == "tenant small, source t"
    chunks = lake.chunks.read(["chunk_id", "tenant", "text"]).to_pylist()
    of = {row["chunk_id"]: row for row in chunks}
    assert moved.cells[0]["share_now"] > 2 * moved.cells[0]["share_before"]
    for cell in moved.cells:
        shown = [*cell["examples"], *filter(None, [cell.get("nearest_old_chunk")])]
        assert {of[chunk]["tenant"] for chunk in shown} == {"small"}
    # All of its window, and none of anybody else's.
    assert len(moved.window) == verdict.slices_alarmed[0].window_rows


@pytest.mark.deep
def test_a_window_whose_contents_have_gone_is_explained_without_examples(
    lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    verdict = judge_drift(lake, MODEL, POLICY)
    sample = lake.sample_of_days

    def emptied(*arguments: object, **named: object) -> object:
        return sample(*arguments, **named).slice(0, 0)  # type: ignore[arg-type]

    monkeypatch.setattr(lake, "sample_of_days", emptied)
    moved = explain(lake, verdict)
    assert len(moved.reference) == len(moved.window) == 0
    assert moved.cells and all(cell["examples"] == [] for cell in moved.cells)


def test_only_an_alarm_of_a_slice_means_one(home: Home) -> None:
    calm = judged(home, days=2, moved={})
    assert calm.slice_meant is None and calm.facts()["slices_acting"] == 0
    assert calm.day == date_of(REFERENCE_DAYS) + timedelta(days=1)
