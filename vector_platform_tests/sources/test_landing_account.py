"""Every row of a reading is accounted for, whatever days it names and whatever days are landed."""

from __future__ import annotations

import tempfile
from datetime import date, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vector_platform.lake.lake import Lake
from vector_platform.sources.landing.account import Account, RowsUnaccounted
from vector_platform.sources.landing.days import BEGINNING, MOST_DAYS, LandingDays, open_days
from vector_platform.sources.landing.landed import landed_days
from vector_platform.sources.landing.report import ACCOUNT, LandingReport
from vector_platform_tests.sources.landings import (
    FIRST_DAY,
    INCREMENTAL,
    NAME,
    Found,
    day,
    land_rows,
    newest,
    rejects,
    versions,
)
from vector_platform_tests.tiers import examples

# A first run on the 20th, when most days are past, one is far ahead and others are none at all.
TIMES = {
    "start": "2026-11-01T00:00:00Z",
    "past": "2026-11-03T10:00:00Z",
    "today": "2026-11-20T01:00:00Z",
    "a-clock-ahead": "2026-11-21T23:00:00Z",
    "future": "2026-11-22T00:00:00Z",
    "before-start": "2026-10-01T00:00:00Z",
    "year-1": "0001-01-01",
    "year-9999": "9999-12-31T00:00:00Z",
}
ROWS: list[Found] = [{"id": key, "text": key, "at": at} for key, at in TIMES.items()]


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(str(tmp_path / "lake"))


def land_due(lake: Lake, found: list[Found], *, on: date) -> LandingReport:
    """As the asset lands: a day, and the days before it that are open."""
    also = open_days(landed_days(lake.landings, NAME), on, FIRST_DAY)
    return land_rows(lake, found, on=on, also=also, fields=INCREMENTAL)


def adds_up(report: LandingReport) -> bool:
    return report.rows_read == sum(getattr(report, part) for part in ACCOUNT)


def test_a_first_run_lands_all_days_and_names_the_rows_of_days_that_cannot_be(lake: Lake) -> None:
    report = land_due(lake, ROWS, on=day(20))
    assert (report.landed, report.rejected, report.waiting, report.late) == (4, 3, 1, 1)
    assert adds_up(report) and len(report.days) == 20
    assert set(newest(lake)) == {"start", "past", "today", "before-start"}
    assert {row["key"]: row["ingest_date"] for row in newest(lake).values()} == {
        "start": day(1),
        "past": day(3),
        "today": day(20),
        "before-start": day(20),
    }
    kinds = {place: reason.partition(":")[0] for place, reason in rejects(lake, day(20)).items()}
    assert list(kinds.values()) == ["time out of range", "unreadable time", "unreadable time"]
    assert (
        "'at' holds 2026-11-22T00:00:00+00:00, after 2026-11-21"
        in rejects(lake, day(20))["memory:5"]
    )
    assert report.notes[0] == (
        "1 row(s) wait for later days (2026-11-21): they land when their day does"
    )


def test_a_second_run_finds_all_of_it_landed_and_writes_nothing(lake: Lake) -> None:
    land_due(lake, ROWS, on=day(20))
    before = versions(lake)
    report = land_due(lake, ROWS, on=day(20))
    assert (report.landed, report.unchanged, report.days) == (0, 4, (day(20),))
    assert not report.wrote and adds_up(report) and versions(lake) == before


def test_days_on_which_nothing_ran_land_with_the_next_one(lake: Lake) -> None:
    land_due(lake, ROWS[:1], on=day(2))
    report = land_due(lake, ROWS, on=day(20))
    assert report.days == tuple(day(number) for number in range(3, 21))
    assert newest(lake)["past"]["ingest_date"] == day(3) and report.late == 1


def test_a_day_that_was_asked_for_alone_says_what_waits_and_how_to_land_it(lake: Lake) -> None:
    report = land_rows(lake, ROWS, on=day(20), fields=INCREMENTAL)
    assert (report.landed, report.waiting) == (2, 3) and adds_up(report)
    assert report.notes[0] == (
        "2 row(s) wait for earlier days that were not asked for (2026-11-01, 2026-11-03): "
        "`vector-platform backfill notes` lands them"
    )


def test_landed_rows_of_later_days_do_not_wait_when_an_earlier_day_is_landed_again(
    lake: Lake,
) -> None:
    land_due(lake, ROWS, on=day(20))
    report = land_rows(lake, ROWS, on=day(3), fields=INCREMENTAL)
    assert (report.unchanged, report.waiting) == (4, 1) and adds_up(report)


def test_each_day_has_its_own_row_of_the_landings(lake: Lake) -> None:
    land_due(lake, ROWS, on=day(20))
    rows = {row["ingest_date"]: row for row in lake.landings.read().to_pylist()}
    assert sorted(rows) == [day(number) for number in range(1, 21)]
    assert (rows[day(3)]["rows_read"], rows[day(3)]["inserted"]) == (1, 1)
    whole = rows[day(20)]
    assert (whole["rows_read"], whole["inserted"], whole["rejected"], whole["waiting"]) == (
        *(len(ROWS), 2, 3),
        1,
    )


def test_open_days_reach_no_further_back_than_ten_years() -> None:
    found = open_days(set(), day(20), date(1, 1, 1))
    assert len(found) == MOST_DAYS and min(found) == day(20) - timedelta(days=MOST_DAYS)
    assert open_days({day(2)}, day(4), day(1)) == {day(1), day(3)}
    assert open_days(set(), day(4), day(9)) == frozenset()


def test_what_is_older_than_the_first_day_is_asked_for_once_and_with_that_day() -> None:
    first, day = date(2026, 1, 4), date(2026, 1, 5)

    def asked(*landed: date, also: frozenset[date] = frozenset()) -> date | None:
        return LandingDays(day, also, frozenset(landed), first).window().since

    assert asked(also=frozenset({first})) == BEGINNING
    assert LandingDays(day, frozenset(), frozenset(), day).window().since == BEGINNING
    # A day alone, the first day again, and later ones.
    assert asked() is None
    assert asked(first) is None
    assert asked(first, also=frozenset({first})) == first


def test_a_reading_that_does_not_add_up_is_refused() -> None:
    account = Account()
    account.rows_read = 2
    account.days[FIRST_DAY]["landed"] += 1
    with pytest.raises(RowsUnaccounted, match="2 rows read, but 1 landed, 0 unchanged, 0 rej"):
        account.balance(NAME, 0)
    account.balance(NAME, 1)


KEYS = st.sampled_from("abc")
AT = st.sampled_from([*TIMES.values(), "2026-11-19", "not a time", None])
READING = st.lists(
    st.fixed_dictionaries(
        {"id": KEYS | st.none(), "text": st.sampled_from(["x", "y", "\ufeff"]), "at": AT}
    ),
    max_size=6,
)


@examples(15)
@given(readings=st.lists(st.tuples(READING, st.integers(1, 20), st.booleans()), max_size=3))
def test_whatever_is_read_and_whatever_day_is_landed_the_account_adds_up(
    readings: list[tuple[list[Found], int, bool]],
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        lake = Lake(folder)
        for found, number, alone in readings:
            land = land_rows if alone else land_due
            options = {"fields": INCREMENTAL} if alone else {}
            report = land(lake, found, on=day(number), **options)
            assert adds_up(report)
            assert lake.raw_rejects.read(where=[("ingest_date", "==", day(number))]).num_rows == (
                report.rejected
            )
