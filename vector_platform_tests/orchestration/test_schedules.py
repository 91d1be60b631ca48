"""The daily schedule: which day it lands, in which time zone, and from when on."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import dagster as dg
import pytest
from dagster._core.test_utils import freeze_time

from vector_platform.orchestration.build import build_definitions
from vector_platform.settings import Settings
from vector_platform_tests.orchestration.harness import settings_of


def tick(settings: Settings, at: datetime) -> dg.RunRequest | None:
    """What the schedule asks for at a time; None when it skips."""
    repository = build_definitions(settings=settings).get_repository_def()
    schedule = repository.get_schedule_def("ingest_daily")
    with dg.build_schedule_context(
        instance=dg.DagsterInstance.ephemeral(),
        scheduled_execution_time=at,
        repository_def=repository,
    ) as context:
        data = schedule.evaluate_tick(context)
    if not data.run_requests:
        assert data.skip_message
        return None
    (request,) = data.run_requests
    return request


def test_the_day_that_ended_is_landed(settings: Settings) -> None:
    request = tick(settings, datetime(2026, 1, 10, 3, 15, tzinfo=UTC))
    assert request is not None
    assert (request.partition_key, request.run_key) == ("2026-01-09", "2026-01-09")


@pytest.mark.parametrize(
    ("day", "landed"), [(1, None), (2, "2026-01-01")], ids=["the first day", "the day after"]
)
def test_nothing_is_landed_before_the_first_day_has_ended(
    settings: Settings, day: int, landed: str | None
) -> None:
    request = tick(settings, datetime(2026, 1, day, 3, 15, tzinfo=UTC))
    assert (request.partition_key if request else None) == landed


@pytest.mark.parametrize(
    ("timezone", "at", "landed"),
    [
        ("Asia/Tokyo", datetime(2026, 1, 10, 3, 15), "2026-01-09"),
        ("America/New_York", datetime(2026, 1, 10, 3, 15), "2026-01-09"),
        # Clocks go forward at two and back at three in the night before the tick.
        ("Europe/Berlin", datetime(2026, 3, 29, 3, 15), "2026-03-28"),
        ("Europe/Berlin", datetime(2026, 10, 25, 3, 15), "2026-10-24"),
        ("Pacific/Kiritimati", datetime(2026, 1, 10, 3, 15), "2026-01-09"),
    ],
)
def test_a_day_is_a_day_of_the_configured_time_zone(
    root: Path, timezone: str, at: datetime, landed: str
) -> None:
    local = at.replace(tzinfo=ZoneInfo(timezone))
    settings = settings_of(root, schedules={"timezone": timezone})
    for moment in (local, local.astimezone(UTC)):
        request = tick(settings, moment)
        assert request is not None
        assert request.partition_key == landed


def test_the_day_that_is_landed_is_a_partition_of_the_job(settings: Settings) -> None:
    definitions = build_definitions(settings=settings)
    now = datetime(2026, 1, 10, 3, 15, tzinfo=UTC)
    request = tick(settings, now)
    days = definitions.resolve_job_def("ingest_day").partitions_def
    assert request is not None
    assert days is not None
    with freeze_time(now):
        assert days.has_partition_key(str(request.partition_key))
        assert days.get_last_partition_key() == "2026-01-10"


def test_the_schedule_runs_without_being_switched_on(settings: Settings) -> None:
    schedule = (
        build_definitions(settings=settings).get_repository_def().get_schedule_def("ingest_daily")
    )
    assert schedule.default_status is dg.DefaultScheduleStatus.RUNNING
    assert schedule.execution_timezone == "UTC"
