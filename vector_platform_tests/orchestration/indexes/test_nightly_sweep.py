"""The nightly sweep: what it closes, and that it asks for everything exactly once."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from vector_platform_tests.orchestration.harness import (
    NEW,
    OLD,
    READERS,
    Automation,
    Request,
    asked_for,
    settings_of,
)
from vector_platform_tests.orchestration.test_automation import EVERYTHING

BEFORE = datetime(2026, 1, 11, 3, 30, tzinfo=UTC)
NIGHT = datetime(2026, 1, 11, 4, 45, 20, tzinfo=UTC)


@pytest.fixture
def settled(automation: Automation) -> Automation:
    automation.tick()
    automation.demo()
    assert automation.tick(at=BEFORE) == []
    return automation


def swept(automation: Automation, night: datetime) -> list[tuple[str, str | None]]:
    """Everything a night asks for, its first tick included."""
    first = automation.tick(at=night)
    for request in first:
        automation.play(request)
    return asked_for([first, *automation.settle()])


def test_a_night_sweeps_every_asset_partition_exactly_once(settled: Automation) -> None:
    for night in range(2):
        assert Counter(swept(settled, NIGHT + timedelta(days=night))) == EVERYTHING


@pytest.mark.deep
def test_a_night_with_slow_runs_sweeps_nothing_twice(settled: Automation) -> None:
    asked = []
    waiting: list[Request] = []
    for number in range(18):
        requests = settled.tick(at=NIGHT) if number == 0 else settled.tick()
        asked.append(requests)
        # Each run ends three ticks after it was asked for, the models' before the others.
        waiting += sorted(requests, key=lambda request: request.partition or "zz")
        if waiting and number % 3 == 2:
            settled.play(waiting.pop(0))
    assert Counter(asked_for(asked)) == EVERYTHING


@pytest.mark.deep
def test_nothing_is_swept_before_the_hour_or_again_after_it(settled: Automation) -> None:
    swept(settled, NIGHT)
    for hours in (1, 6, 12, 23):
        assert settled.tick(at=NIGHT + timedelta(hours=hours)) == []


@pytest.mark.deep
def test_what_a_failed_run_left_behind_is_done_in_the_night(settled: Automation) -> None:
    settled.play(Request(("lake/chunks",), None), automatic=False)
    for request in settled.tick():
        settled.start(request).end(success=False)
    assert settled.settle() == []
    asked = Counter(swept(settled, NIGHT))
    assert asked == EVERYTHING


@pytest.mark.deep
def test_an_update_whose_event_was_lost_is_followed_in_the_night(settled: Automation) -> None:
    # The command line embeds model OLD at the very moment when chunks are committed after it has
    # read them: its own update is the newer one, so nothing says that it is stale.
    settled.play(Request(("lake/chunks",), None), automatic=False)
    settled.play(Request(("lake/embeddings", *READERS), OLD), automatic=False)
    settled.play(Request(("lake/embeddings", *READERS), NEW), automatic=False)
    assert settled.settle() == []
    asked = Counter(swept(settled, NIGHT))
    assert asked["lake/embeddings", OLD] == asked["milvus/documents", OLD] == 1


@pytest.mark.deep
def test_a_model_whose_contract_is_broken_is_not_indexed_by_the_night(settled: Automation) -> None:
    settled.play(
        Request(("lake/embeddings",), OLD), failed=["vectors_keep_the_contract"], automatic=False
    )
    assert settled.settle() == []
    first = settled.tick(at=NIGHT)
    for request in first:
        settled.play(request)
    second = settled.tick()
    assert Request(("lake/embeddings",), OLD) in second
    assert {r.partition for r in second if set(READERS) & set(r.assets)} == {NEW}


@pytest.mark.deep
@pytest.mark.parametrize(
    ("timezone", "night"),
    [
        ("Asia/Tokyo", datetime(2026, 1, 10, 19, 45, 20, tzinfo=UTC)),
        ("America/New_York", datetime(2026, 1, 11, 9, 45, 20, tzinfo=UTC)),
    ],
)
def test_the_night_is_that_of_the_configured_time_zone(
    root: Path, timezone: str, night: datetime
) -> None:
    automation = Automation(settings_of(root, schedules={"timezone": timezone}))
    automation.tick()
    automation.demo()
    assert automation.tick(at=night - timedelta(minutes=2)) == []
    assert Counter(swept(automation, night)) == EVERYTHING
