"""Files that change are landed at once, where a source asks for it."""

from __future__ import annotations

import os
from datetime import UTC, date, datetime
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.test_utils import freeze_time

from vector_platform.orchestration.build import build_definitions
from vector_platform.settings import Settings
from vector_platform.sources.landing.landing import land
from vector_platform.wiring import Platform
from vector_platform_tests.orchestration.harness import NOON, settings_of


@pytest.fixture
def watched(root: Path) -> Settings:
    """The notices are watched, the guides are not."""
    fields = {"key": "id", "title": "title", "text": "body", "time": "at", "tenant": "team"}
    notices = {"kind": "files", "path": "notices.csv", "watch": True, "fields": fields}
    sources = {"notices": notices, "guides": {"kind": "files", "path": "guides/*.md"}}
    return settings_of(root, sources=sources)


def tick(settings: Settings, at: datetime = NOON) -> list[dg.RunRequest]:
    repository = build_definitions(settings=settings).get_repository_def()
    sensor = repository.get_sensor_def("land_what_arrives")
    with (
        freeze_time(at),
        dg.build_sensor_context(
            instance=dg.DagsterInstance.ephemeral(),
            repository_def=repository,
            resources={"platform": Platform(settings)},
        ) as context,
    ):
        data = sensor.evaluate_tick(context)
    return list(data.run_requests or ())


def touch(settings: Settings, name: str, at: datetime) -> None:
    os.utime(settings.root / name, (at.timestamp(), at.timestamp()))


def land_notices(settings: Settings, at: datetime) -> None:
    platform = Platform(settings)
    land(
        lake=platform.lake,
        name="notices",
        spec=settings.sources["notices"],
        source=platform.source("notices"),
        day=date(2026, 1, 9),
        first_day=settings.start_date,
        run_id="by hand",
        now=at,
    )


def test_only_the_watched_source_is_landed_and_on_the_day_that_ended(watched: Settings) -> None:
    touch(watched, "notices.csv", NOON)
    (request,) = tick(watched)
    assert request.partition_key == "2026-01-09"
    assert request.asset_selection == [dg.AssetKey(["raw", "notices"])]


def test_what_has_been_landed_is_left_until_a_file_changes(watched: Settings) -> None:
    touch(watched, "notices.csv", datetime(2026, 1, 10, 8, tzinfo=UTC))
    land_notices(watched, datetime(2026, 1, 10, 9, tzinfo=UTC))
    assert tick(watched) == []
    touch(watched, "notices.csv", datetime(2026, 1, 10, 10, tzinfo=UTC))
    assert len(tick(watched)) == 1


def test_one_change_is_one_run_however_often_the_sensor_looks(watched: Settings) -> None:
    touch(watched, "notices.csv", NOON)
    first, again = tick(watched), tick(watched)
    assert [request.run_key for request in first] == [request.run_key for request in again]


def test_nothing_is_landed_before_the_first_day_has_ended(watched: Settings) -> None:
    assert tick(watched, datetime(2026, 1, 1, 12, tzinfo=UTC)) == []


def test_without_a_watched_source_there_is_no_such_sensor(settings: Settings) -> None:
    repository = build_definitions(settings=settings).get_repository_def()
    assert not repository.has_sensor_def("land_what_arrives")
