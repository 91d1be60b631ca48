"""The account of one reading: what became of every row, by the day that it landed on.

Belongs here: counting, and seeing that nothing is left over. Every row that a source gives has
landed, is known unchanged, is rejected, or waits for another day; there is no fifth thing.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from datetime import date

from vector_platform.errors import TerminalError
from vector_platform.sources.landing.report import COUNTS

# Days that a note names; a source may hold many.
_NAMED_DAYS = 3


class RowsUnaccounted(TerminalError):
    """A reading does not add up: rows would be lost in silence. Nothing has been written."""


class Account:
    """Counts of one reading.

    Attributes:
        rows_read: Rows the source gave, rejects included.
        days: Day of landing -> its rows, `landed` and `unchanged`, and its keys, `COUNTS`.
        waiting: Day -> rows that arrived on it and do not land now.
    """

    def __init__(self) -> None:
        self.rows_read = 0
        self.days: defaultdict[date, Counter[str]] = defaultdict(Counter)
        self.waiting: Counter[date] = Counter()

    def total(self, figure: str) -> int:
        """A figure over all days."""
        return sum(counts[figure] for counts in self.days.values())

    def figures(self, day: date) -> dict[str, int]:
        """What became of the keys of a day."""
        return {figure: self.days[day][figure] for figure in COUNTS}

    def rows_of(self, day: date) -> int:
        """Rows that were read and landed on a day now or before."""
        counts = self.days[day]
        return sum(counts[figure] for figure in ("landed", "unchanged"))

    def balance(self, source: str, rejected: int) -> None:
        """See that every row has become something.

        Raises:
            RowsUnaccounted: The sum is not what was read.
        """
        parts = {
            "landed": self.total("landed"),
            "unchanged": self.total("unchanged"),
            "rejected": rejected,
            "waiting for another day": self.waiting.total(),
        }
        if sum(parts.values()) != self.rows_read:
            listed = ", ".join(f"{rows} {name}" for name, rows in parts.items())
            raise RowsUnaccounted(
                f"source {source!r}: {self.rows_read} rows read, but {listed}. Nothing was "
                "landed; please report this"
            )

    def notes(self, source: str, day: date) -> Iterator[str]:
        """Which rows wait, for a person."""
        for which, days, way_out in (
            (
                "earlier days that were not asked for",
                sorted(one for one in self.waiting if one < day),
                f"`vector-platform backfill {source}` lands them",
            ),
            (
                "later days",
                sorted(one for one in self.waiting if one > day),
                "they land when their day does",
            ),
        ):
            if days:
                rows = sum(self.waiting[one] for one in days)
                named = ", ".join(map(str, days[:_NAMED_DAYS]))
                more = f" and {len(days) - _NAMED_DAYS} more" if len(days) > _NAMED_DAYS else ""
                yield f"{rows} row(s) wait for {which} ({named}{more}): {way_out}"
