"""What a source is: the class that readers of this package and of users subclass.

Belongs here: the values a source hands over, and its errors.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from vector_platform.errors import TerminalError, TransientError


class SourceUnreachable(TransientError):
    """A source did not answer, or broke off while it was read. Nothing has been written.

    Attributes:
        source: Name of the source in `platform.yaml`.
        why: What is wrong, without the rest of the message.
    """

    def __init__(self, source: str, why: str) -> None:
        self.source = source
        self.why = why
        super().__init__(
            f"source {source!r} cannot be reached: {why}. Nothing was landed; check the source "
            f"and run the same day again."
        )


class SourceInvalid(TerminalError):
    """A source's section of `platform.yaml`, or its class, cannot work as it is.

    Attributes:
        source: Name of the source in `platform.yaml`.
        why: What is wrong, without the rest of the message.
    """

    def __init__(self, source: str, why: str) -> None:
        self.source = source
        self.why = why
        super().__init__(f"source {source!r}: {why}")


@dataclass(frozen=True)
class DayWindow:
    """The UTC days that are being landed, as a half-open interval.

    Attributes:
        day: The last of them, which is mostly the only one.
        since: The first of them; None for the day alone.
    """

    day: date
    since: date | None = None

    @property
    def start(self) -> datetime:
        """First instant of the first day."""
        return datetime.combine(self.since or self.day, time(), tzinfo=UTC)

    @property
    def end(self) -> datetime:
        """First instant after the last day."""
        return datetime.combine(self.day, time(), tzinfo=UTC) + timedelta(days=1)


@dataclass(frozen=True, slots=True)
class SourceRow:
    """One row as the source holds it.

    Attributes:
        values: Column -> value: JSON values, dates, times, decimals.
        place: Where a person finds it, e.g. `notes.csv:17`; unique within one read.
        uri: What it was read from, kept as lineage; the same for all rows of one file.
    """

    values: dict[str, Any]
    place: str
    uri: str


@dataclass(frozen=True, slots=True)
class Reject:
    """Something that was found but is no row: a line, a record, or a whole file.

    Attributes:
        place: Where a person finds it; unique within one read.
        reason: `kind: detail`; rejects are counted by the part before the colon.
        key: The row's key, where it is known. Without it nothing of `uri` counts as removed.
        payload: What was found, where it can be shown.
        uri: What it was read from, as in `SourceRow`; empty when it is not known.
    """

    place: str
    reason: str
    key: str | None = None
    payload: str | None = None
    uri: str = ""


class Notes:
    """What a person should know of a reading although nothing of it was rejected.

    What is said of many places is one note, with the first of them and their number.
    """

    def __init__(self) -> None:
        self._first: dict[str, str] = {}
        self._places: Counter[str] = Counter()

    def add(self, what: str, place: str) -> None:
        """Note something of a place."""
        self._first.setdefault(what, place)
        self._places[what] += 1

    def lines(self) -> list[str]:
        """One line for each thing that was noted."""
        return [
            f"{what} ({place}{f', and {more} more' if (more := self._places[what] - 1) else ''})"
            for what, place in self._first.items()
        ]


@dataclass(frozen=True)
class GoldenQuery:
    """A query whose relevant documents are known.

    Attributes:
        query_id: Unique within its set.
        text: What is searched for.
        relevant: Key of a document of the source -> gain (1 is relevant, more is better).
        tenant: The tenant that asks; None searches all.
    """

    query_id: str
    text: str
    relevant: Mapping[str, int] = field(default_factory=dict)
    tenant: str | None = None


@dataclass(frozen=True)
class Look:
    """What a source shows of itself in a moment, before anything is read.

    Attributes:
        columns: Names of the columns that were seen; empty when they show in a reading only.
        every_column: Whether there are no others.
        size_bytes: How much there is to read; None when nobody knows.
    """

    columns: tuple[str, ...] = ()
    every_column: bool = False
    size_bytes: int | None = None


class Source(ABC):
    """A system that rows are read from. Subclass it for `kind: python`.

    The constructor receives `options` of `platform.yaml` as keyword arguments. It should not
    connect anywhere: that is for `read`.

    Attributes:
        name: The source's name in `platform.yaml`, set before anything is read.
    """

    name: str = ""

    @abstractmethod
    def read(self, window: DayWindow) -> Iterator[SourceRow | Reject]:
        """Stream the rows.

        Without `fields.time`, all rows that exist now: what does not come is taken as removed.
        With it, at least the rows of the window's days that exist now; more is fine (other days
        are left out, late rows among them are found), so `window` may be ignored.

        Raises:
            SourceUnreachable: The source does not answer. `OSError` is taken as the same.
        """

    def look(self, *, connect: bool) -> Look:
        """Look without reading: a second or two, whatever the size. A class may leave it out.

        Args:
            connect: Whether other machines may be asked.

        Raises:
            SourceInvalid: The source cannot work as it is: a driver or a service is missing.
            SourceUnreachable: As in `read`.
        """
        return Look()

    def notes(self) -> list[str]:
        """What a person should know of the last reading although nothing was rejected."""
        return []

    def golden_queries(self) -> Iterator[GoldenQuery]:
        """Queries with known answers, where the source has any."""
        return iter(())
