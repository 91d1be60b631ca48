"""What the automation sensor asks for, tick by tick, on the real definitions."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from pathlib import Path

import pytest

from vector_platform.settings import Settings
from vector_platform_tests.orchestration.harness import (
    INDEXES,
    MARTS,
    NEW,
    OLD,
    PUBLISHED,
    READERS,
    STAGING,
    STATIC,
    TICK,
    Automation,
    Request,
    asked_for,
    settings_of,
)
from vector_platform_tests.some import some
from vector_platform_tests.tiers import in_turn

WAY = (*STAGING, *MARTS, *PUBLISHED, "lake/chunks", "lake/golden_queries")
EVERYTHING = Counter(
    [(name, None) for name in WAY]
    + [(name, model) for name in ("lake/embeddings", *READERS) for model in (OLD, NEW)]
)


@pytest.fixture
def settled(automation: Automation) -> Automation:
    """A deployment that the command line has brought up to date, watched by the sensor since."""
    automation.tick()
    automation.demo()
    assert automation.settle() == []
    return automation


def test_an_empty_deployment_asks_for_nothing(automation: Automation) -> None:
    assert automation.settle() == []


def test_the_first_day_goes_all_the_way_each_asset_once_and_in_order(
    automation: Automation,
) -> None:
    automation.tick()
    automation.land("2026-01-10")
    asked = asked_for(automation.settle())
    assert Counter(asked) == EVERYTHING
    names = [name for name, _ in asked]
    for before, after in [
        ("staging/stg_notices", "lake/documents"),
        ("lake/documents", "lake/embeddings"),
        ("lake/chunks", "lake/embeddings"),
        *(("lake/embeddings", reader) for reader in READERS),
        ("lake/golden_queries", "quality/retrieval"),
    ]:
        assert names.index(before) <= names.index(after)
    assert automation.settle() == []


@pytest.mark.parametrize(
    "day", in_turn("day", ["2026-01-10", "2026-01-03"]), ids=["a new day", "a late day"]
)
def test_a_landed_day_goes_all_the_way_once(settled: Automation, day: str) -> None:
    settled.land(day)
    rounds = settled.settle()
    assert Counter(asked_for(rounds)) == EVERYTHING
    assert [sorted({request.partition or "-" for request in asked}) for asked in rounds] == [
        ["-"],
        [OLD, NEW],
    ]


@pytest.mark.deep
def test_a_day_of_one_source_stages_that_source_alone(settled: Automation) -> None:
    settled.land("2026-01-10", "notices")
    asked = Counter(asked_for(settled.settle()))
    assert asked == EVERYTHING - Counter(
        [("staging/stg_guides", None), ("lake/golden_queries", None)]
    )


@pytest.mark.deep
def test_raw_days_are_never_asked_for(settled: Automation) -> None:
    for day in range(3):
        settled.now += timedelta(days=1)
        asked = asked_for(settled.settle())
        assert not [name for name, _ in asked if name.startswith("raw/")], day


def test_opening_the_ui_after_the_demo_starts_nothing(automation: Automation) -> None:
    automation.demo()
    for _ in range(3):
        assert automation.tick() == []


@pytest.mark.deep
def test_opening_the_ui_again_after_another_demo_starts_nothing(settled: Automation) -> None:
    settled.now += timedelta(hours=3)
    settled.demo()
    assert settled.settle() == []


def test_a_request_is_not_repeated_while_its_run_is_queued_or_working(settled: Automation) -> None:
    settled.land("2026-01-10")
    runs = [settled.start(request) for request in settled.tick()]
    assert runs
    assert settled.tick() == settled.tick() == []


def test_a_failed_run_is_left_alone_until_something_changes(settled: Automation) -> None:
    settled.land("2026-01-10")
    for request in settled.tick():
        settled.start(request).end(success=False)
    assert settled.settle() == []
    settled.land("2026-01-08")
    assert set(asked_for(settled.settle())) == set(EVERYTHING)


@pytest.mark.deep
def test_a_source_that_lands_while_another_is_being_staged_is_not_forgotten(
    settled: Automation,
) -> None:
    landing = settled.start(Request(("raw/guides", "raw/notices"), "2026-01-10"), automatic=False)
    landing.materialise("raw/guides")
    (first,) = settled.tick()
    run = settled.start(first)
    landing.materialise("raw/notices")
    landing.end()
    (second,) = settled.tick()
    assert second.assets == ("staging/stg_notices",)
    # Both runs end between two ticks: the marts were built without the notices.
    run.materialise(*WAY[0:1], *WAY[2:])
    run.end()
    settled.play(second)
    asked = asked_for(settled.settle())
    assert {name for name, _ in asked} >= {*MARTS, *PUBLISHED, "lake/chunks", "lake/embeddings"}


@pytest.mark.deep
def test_chunks_committed_while_a_model_is_embedding_are_embedded_after_it(
    settled: Automation,
) -> None:
    settled.play(Request(("lake/chunks",), None), automatic=False)
    embedding = [settled.start(request) for request in settled.tick()]
    settled.play(Request(("lake/chunks",), None), automatic=False)
    assert settled.tick() == []
    for run in embedding:
        run.materialise("lake/embeddings", *READERS)
        run.end()
    assert Counter(asked_for(settled.settle())) == Counter(
        (name, model) for name in ("lake/embeddings", *READERS) for model in (OLD, NEW)
    )


def test_a_new_model_version_asks_only_for_itself(root: Path) -> None:
    automation = Automation(settings_of(root, models={OLD: STATIC}))
    automation.tick()
    automation.demo()
    automation.settle()
    automation.reload(settings_of(root, models={OLD: STATIC, NEW: STATIC}))
    asked = asked_for(automation.settle())
    assert Counter(asked) == Counter((name, NEW) for name in ("lake/embeddings", *READERS))
    assert asked[0] == ("lake/embeddings", NEW)


@pytest.mark.deep
def test_a_retired_model_version_is_not_asked_for_again(settled: Automation, root: Path) -> None:
    retired = {OLD: STATIC | {"retired": True}, NEW: STATIC}
    settled.reload(settings_of(root, models=retired))
    assert settled.settle() == []
    settled.land("2026-01-10")
    asked = asked_for(settled.settle())
    assert ("lake/embeddings", NEW) in asked
    assert {model for _, model in asked} == {None, NEW}


def test_new_golden_queries_evaluate_every_model_and_touch_no_index(settled: Automation) -> None:
    settled.play(Request(("lake/golden_queries",), None), automatic=False)
    assert Counter(asked_for(settled.settle())) == Counter(
        [("quality/retrieval", OLD), ("quality/retrieval", NEW)]
    )


@pytest.mark.parametrize(
    "check",
    [
        "every_chunk_is_embedded",
        pytest.param("vectors_keep_the_contract", marks=pytest.mark.deep),
    ],
)
def test_a_broken_contract_of_one_model_stops_its_indexes_and_no_others(
    settled: Automation, check: str
) -> None:
    settled.play(Request(("lake/chunks",), None), automatic=False)
    requests = settled.tick()
    assert {request.partition for request in requests} == {OLD, NEW}
    for request in requests:
        settled.play(request, failed=[check] if request.partition == OLD else [])
    assert settled.settle() == []

    # While the check fails, new chunks embed both models, and index the healthy one only.
    settled.play(Request(("lake/chunks",), None), automatic=False)
    requests = settled.tick()
    assert Request(("lake/embeddings",), OLD) in requests
    assert Request(tuple(sorted(("lake/embeddings", *READERS))), NEW) in requests
    for request in requests:
        settled.play(request, failed=[check] if request.partition == OLD else [])
    assert settled.settle() == []

    # The check passes, and what waited for it follows.
    settled.play(Request(("lake/embeddings",), OLD), automatic=False)
    assert Counter(asked_for(settled.settle())) == Counter((name, OLD) for name in READERS)


@pytest.mark.deep
def test_a_check_that_passes_by_itself_releases_what_waited_for_it(automation: Automation) -> None:
    automation.tick()
    automation.land("2026-01-10")
    for _ in range(3):
        for request in automation.tick():
            run = automation.start(request)
            if request.partition == OLD:
                run.materialise("lake/embeddings", failed=["every_chunk_is_embedded"])
                run.end()
            else:
                automation.play(request)
    asked = asked_for(automation.settle())
    assert {model for name, model in asked if name in INDEXES} == {NEW}
    again = automation.start(Request(("lake/embeddings",), OLD), automatic=False)
    again.check("lake/embeddings")
    again.end()
    assert {*INDEXES} <= {name for name, model in asked_for(automation.settle()) if model == OLD}


@pytest.mark.deep
def test_a_broken_contract_of_the_chunks_stops_every_model(settled: Automation) -> None:
    settled.land("2026-01-10")
    for request in settled.tick():
        settled.play(request, failed=["chunks_keep_the_contract"])
    # The golden queries did land: they are evaluated on what the lake holds.
    assert {name for name, _ in asked_for(settled.settle())} == {"quality/retrieval"}


def test_a_failed_dbt_test_publishes_nothing(settled: Automation) -> None:
    settled.land("2026-01-10")
    (request,) = settled.tick()
    run = settled.start(request)
    run.materialise(*STAGING, *MARTS, failed=["attributes_are_admissible"])
    run.end(success=False)
    # The golden queries were part of the failed run: nothing is left that could go on.
    assert settled.settle() == []


def test_drift_stops_nothing(settled: Automation) -> None:
    settled.play(Request(("lake/chunks",), None), automatic=False)
    asked = settled.tick()
    for request in asked:
        settled.play(request, failed=["distribution_has_not_drifted"])
    assert all(set(READERS) < set(request.assets) for request in some(asked))
    settled.play(Request(("lake/embeddings",), OLD), automatic=False)
    assert Counter(asked_for(settled.settle())) == Counter((name, OLD) for name in READERS)


def test_ticks_are_as_far_apart_as_the_sensor_runs(settings: Settings) -> None:
    automation = Automation(settings)
    repository = automation.definitions.get_repository_def()
    sensor = repository.get_sensor_def("follow_the_lake")
    assert sensor.minimum_interval_seconds == TICK.total_seconds()
    assert sensor.default_status.value == "RUNNING"
