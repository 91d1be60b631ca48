"""The business calendar of releases: which moments are frozen.

Belongs here: pure answers about time.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from vector_platform.settings import FreezeWindow

WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


def frozen_by(moment: datetime, windows: Sequence[FreezeWindow], timezone: str) -> str | None:
    """Name of the first window that a moment lies in, or None.

    Args:
        moment: An aware moment, in any zone.
        windows: The calendar.
        timezone: Zone of the calendar's wall clock.
    """
    local = moment.astimezone(ZoneInfo(timezone))
    return next((window.name for window in windows if _holds(window, local)), None)


def _holds(window: FreezeWindow, local: datetime) -> bool:
    day, clock = local.date(), local.time().replace(tzinfo=None)
    if window.from_time is not None and window.until_time is not None:
        over_midnight = window.until_time <= window.from_time
        if over_midnight and clock < window.until_time:
            # The small hours belong to the night that began yesterday.
            day -= timedelta(days=1)
        elif clock < window.from_time or (not over_midnight and clock >= window.until_time):
            return False
    return (
        (window.first_day is None or day >= window.first_day)
        and (window.last_day is None or day <= window.last_day)
        and (not window.weekdays or WEEKDAYS[day.weekday()] in window.weekdays)
    )
