from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from pydantic import ValidationError

from vector_platform.releases.gates.freezes import frozen_by
from vector_platform.settings import FreezeWindow, Releases

YEAR_END = {"name": "year end", "first_day": "2026-12-18", "last_day": "2027-01-03"}
WEEKEND = {"name": "weekend", "weekdays": ["sat", "sun"]}
NIGHT = {"name": "night", "from_time": "18:00", "until_time": "08:00"}
FRIDAY_NIGHT = {**NIGHT, "name": "friday night", "weekdays": ["fri"]}


def frozen(moment: str, *windows: dict[str, Any], timezone: str = "UTC") -> str | None:
    at = datetime.fromisoformat(moment)
    parsed = [FreezeWindow.model_validate(each) for each in windows]
    return frozen_by(at if at.tzinfo else at.replace(tzinfo=UTC), parsed, timezone)


@pytest.mark.parametrize(
    ("moment", "window", "is_frozen"),
    [
        ("2026-12-17T23:59", YEAR_END, False),
        ("2026-12-18T00:00", YEAR_END, True),
        ("2027-01-03T23:59", YEAR_END, True),
        ("2027-01-04T00:00", YEAR_END, False),
        ("2026-03-06T12:00", WEEKEND, False),
        ("2026-03-07T00:00", WEEKEND, True),
        ("2026-03-04T17:59", NIGHT, False),
        ("2026-03-04T18:00", NIGHT, True),
        ("2026-03-05T07:59", NIGHT, True),
        ("2026-03-05T08:00", NIGHT, False),
        ("2026-03-06T20:00", FRIDAY_NIGHT, True),
        ("2026-03-07T07:00", FRIDAY_NIGHT, True),
        ("2026-03-06T07:00", FRIDAY_NIGHT, False),
        ("2026-03-07T20:00", FRIDAY_NIGHT, False),
    ],
)
def test_a_window_holds_from_its_first_to_before_its_last_moment(
    moment: str, window: dict[str, Any], is_frozen: bool
) -> None:
    assert frozen(moment, window) == (window["name"] if is_frozen else None)


def test_the_calendar_keeps_the_wall_clock_of_its_zone_through_summer_time() -> None:
    # 18:00 in Berlin is 17:00 UTC in winter and 16:00 UTC in summer.
    assert frozen("2026-01-14T16:30", NIGHT, timezone="Europe/Berlin") is None
    assert frozen("2026-07-14T16:30", NIGHT, timezone="Europe/Berlin") == "night"


@pytest.mark.parametrize(
    "window",
    [
        {"name": "always"},
        {"name": "backwards", "first_day": "2026-02-02", "last_day": "2026-02-01"},
        {"name": "half", "from_time": "18:00"},
        {"name": "no such day", "weekdays": ["friday"]},
    ],
)
def test_a_window_that_means_nothing_is_refused(window: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        FreezeWindow.model_validate(window)


def test_a_policy_that_nobody_could_meet_is_refused() -> None:
    with pytest.raises(ValidationError, match="2 approvals"):
        Releases(approvers=["ann"], approvals=2)
    with pytest.raises(ValidationError, match="twice"):
        Releases(approvers=["ann", "ann"])
    with pytest.raises(ValidationError, match="time zone"):
        Releases(timezone="Mars/Olympus")
