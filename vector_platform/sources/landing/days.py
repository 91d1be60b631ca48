"""Which days a landing takes.

Belongs here: the days that nobody has landed yet, and how far back they are looked for.

A source with a time column is landed day by day. A day that nobody landed (before the first run,
or while nothing ran) would leave its rows in the source for ever, so the next landing takes it
too, in the same reading.
"""

from __future__ import annotations

from collections.abc import Iterator, Set
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from vector_platform.sources.base import DayWindow

# Rows from before `start_date` are asked for from here on: no system's clock began earlier.
BEGINNING = date(1970, 1, 1)
# Ten years: a source is read once however many days there are, but each of them is recorded.
MOST_DAYS = 3660


@dataclass(frozen=True)
class LandingDays:
    """The days of one landing.

    Attributes:
        day: The day that is landed.
        also: Earlier days that are landed with it.
        landed: Days that have been landed before.
        first: `start_date`.
    """

    day: date
    also: frozenset[date]
    landed: frozenset[date]
    first: date

    def window(self) -> DayWindow:
        """What a source is asked for.

        With the first day, when that is landed for the first time, all that was before it: nobody
        would ever ask for it otherwise. It comes late, as `lands_on` says.
        """
        if self.first in self.also | {self.day} and self.first not in self.landed:
            return DayWindow(self.day, BEGINNING)
        return DayWindow(self.day, min(self.also, default=None))

    def lands_on(self, arrived: date) -> date | None:
        """The day on which a row lands now; None when it waits for another landing.

        A row of a day that has been landed, or from before the first one, is late: it lands on the
        day that is landed.
        """
        if arrived == self.day or arrived in self.also:
            return arrived
        is_late = arrived < self.day and (arrived in self.landed or arrived < self.first)
        return self.day if is_late else None


def days_between(first: date, last: date) -> Iterator[date]:
    """All days from the first to the last, both included."""
    return (first + timedelta(days=number) for number in range((last - first).days + 1))


def open_days(landed: Set[date], day: date, first_day: date) -> frozenset[date]:
    """Days before `day` that nobody has landed, from the first day or ten years back.

    Args:
        landed: Days that have landed.
        day: The day that is landed.
        first_day: `start_date`.
    """
    first = max(first_day, day - timedelta(days=MOST_DAYS))
    return frozenset(one for one in days_between(first, day) if one < day) - landed


def after(now: datetime, last: datetime | None) -> datetime:
    """A time of landing that is later than the last one, also when the clock went back."""
    return now if last is None or last < now else last + timedelta(microseconds=1)
