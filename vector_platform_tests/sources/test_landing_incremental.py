"""Sources with a time column: every day lands its own rows, and late ones."""

from __future__ import annotations

from pathlib import Path

import pytest

from vector_platform.lake.lake import Lake
from vector_platform.sources.landing.report import LandingReport
from vector_platform_tests.sources.landings import (
    INCREMENTAL,
    NAME,
    Found,
    day,
    land_rows,
    newest,
    rejects,
    versions,
)


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(str(tmp_path / "lake"))


def row(key: str, at: str, text: str = "text", **more: object) -> dict[str, object]:
    return {"id": key, "text": text, "at": at, **more}


def land_day(lake: Lake, number: int, found: list[Found]) -> LandingReport:
    return land_rows(lake, found, on=day(number), fields=INCREMENTAL, run_id=f"day{number}")


ONE = row("a", "2026-11-01T08:00:00Z")
TWO = row("b", "2026-11-02T00:00:00+00:00")
THREE = row("c", "2026-11-03")


def test_only_the_rows_of_the_day_land(lake: Lake) -> None:
    report = land_day(lake, 1, [ONE, TWO, THREE])
    assert (report.rows_read, report.inserted) == (3, 1)
    assert set(newest(lake)) == {"a"}


def test_a_day_is_a_day_in_utc(lake: Lake) -> None:
    land_day(
        lake, 1, [row("x", "2026-11-02T01:30:00+02:00"), row("y", "2026-11-01T23:30:00-02:00")]
    )
    assert set(newest(lake)) == {"x"}


def test_rows_from_before_the_first_day_land_on_the_day_they_are_found(lake: Lake) -> None:
    report = land_day(lake, 1, [row("old", "2019-05-05"), ONE])
    assert (report.inserted, report.late) == (2, 1)


def test_rows_of_a_day_that_nobody_landed_wait_for_their_own_partition(lake: Lake) -> None:
    land_day(lake, 3, [ONE, TWO, THREE])
    assert set(newest(lake)) == {"c"}
    land_day(lake, 1, [ONE, TWO, THREE])
    assert set(newest(lake)) == {"a", "c"}


def test_a_late_row_lands_once_on_the_day_it_arrives(lake: Lake) -> None:
    land_day(lake, 1, [ONE])
    late = row("late", "2026-11-01T09:00:00")
    report = land_day(lake, 2, [ONE, late, TWO])
    assert (report.inserted, report.late) == (2, 1)
    landed = newest(lake)["late"]
    assert landed["ingest_date"] == day(2) and landed["event_time"].date() == day(1)
    before = versions(lake)
    assert not land_day(lake, 2, [ONE, late, TWO]).wrote
    assert versions(lake) == before
    assert land_day(lake, 3, [ONE, late, TWO, THREE]).late == 0


def test_a_late_correction_of_an_old_version_does_not_replace_a_newer_one(lake: Lake) -> None:
    land_day(lake, 1, [row("k", "2026-11-01", "first")])
    land_day(lake, 2, [row("k", "2026-11-01", "first"), row("k", "2026-11-02", "second")])
    correction = row("k", "2026-11-01", "first, corrected")
    report = land_day(lake, 3, [correction, row("k", "2026-11-02", "second")])
    assert report.late == 1
    assert "second" in newest(lake)["k"]["payload"]
    before = versions(lake)
    assert not land_day(lake, 3, [correction, row("k", "2026-11-02", "second")]).wrote
    assert versions(lake) == before


def test_several_versions_of_a_key_on_several_days_all_land(lake: Lake) -> None:
    log: list[Found] = [row("k", f"2026-11-0{number}", f"v{number}") for number in (1, 2, 3)]
    for number in (1, 2, 3):
        assert land_day(lake, number, log).rejected == 0
    assert lake.raw(NAME).read().num_rows == 3
    for number in (1, 2, 3):
        assert land_day(lake, number, log).wrote is False


def test_days_landed_in_the_wrong_order_end_in_the_same_newest_version(lake: Lake) -> None:
    log: list[Found] = [row("k", f"2026-11-0{number}", f"v{number}") for number in (1, 2, 3)]
    for number in (3, 1, 2):
        land_day(lake, number, log)
    assert "v3" in newest(lake)["k"]["payload"]


def test_the_same_key_twice_on_one_day_is_a_duplicate(lake: Lake) -> None:
    report = land_day(lake, 1, [ONE, row("a", "2026-11-01T10:00:00", "again")])
    assert report.reject_reasons == {"duplicate key": 1}


def test_a_row_that_changes_and_changes_back_lands_each_time(lake: Lake) -> None:
    for text in ("one", "two", "one"):
        assert land_day(lake, 1, [row("k", "2026-11-01", text)]).wrote
        assert f'"{text}"' in newest(lake)["k"]["payload"]


def test_rows_that_are_missing_today_are_not_removed(lake: Lake) -> None:
    land_day(lake, 1, [ONE])
    assert land_day(lake, 2, [TWO]).removed == 0
    assert set(newest(lake)) == {"a", "b"}


def test_a_deleted_row_is_a_tombstone_and_may_lack_its_text(lake: Lake) -> None:
    land_day(lake, 1, [ONE])
    gone = {"id": "a", "text": None, "at": "2026-11-02", "gone": True}
    report = land_day(lake, 2, [gone])
    assert (report.removed, report.rejected) == (1, 0) and newest(lake) == {}


@pytest.mark.parametrize("time", [None, "", "yesterday", 1764547200, "2026-13-01", ["2026-11-01"]])
def test_an_unreadable_time_is_rejected_with_its_column(lake: Lake, time: object) -> None:
    land_day(lake, 1, [ONE, {"id": "z", "text": "t", "at": time}])
    (reason,) = rejects(lake).values()
    assert "'at'" in reason and reason.split(":")[0] in ("missing time", "unreadable time")


def test_bad_rows_of_other_days_are_not_this_days_rejects(lake: Lake) -> None:
    assert land_day(lake, 1, [{"id": None, "at": "2026-11-02"}]).rejected == 0
    assert land_day(lake, 2, [{"id": None, "at": "2026-11-02"}]).rejected == 1
