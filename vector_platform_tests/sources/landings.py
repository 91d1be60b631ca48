"""Sources in memory and a lake in a folder: what the landing tests share.

`Rows` is a real source (a user's class looks like it), not a stand-in for one.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime
from typing import Any

from vector_platform.lake.given import VectorColumn
from vector_platform.lake.lake import Lake
from vector_platform.settings import FieldMapping, PythonSource
from vector_platform.sources.base import DayWindow, Reject, Source, SourceRow
from vector_platform.sources.landing.landing import land
from vector_platform.sources.landing.report import LandingReport

FIRST_DAY = date(2026, 11, 1)
NAME = "notes"
COMPARED = FieldMapping(key="id", text="text")
INCREMENTAL = FieldMapping(key="id", text="text", time="at", deleted="gone")

Found = dict[str, Any] | Reject | Exception


class Rows(Source):
    """Gives what it was given, in order; raises the exceptions among it."""

    def __init__(self, found: Sequence[Found], uri: str = "memory") -> None:
        self.found, self.uri = list(found), uri

    def read(self, window: DayWindow) -> Iterator[SourceRow | Reject]:
        for number, item in enumerate(self.found, start=1):
            if isinstance(item, Exception):
                raise item
            if isinstance(item, Reject):
                yield item
            else:
                yield SourceRow(item, f"{self.uri}:{number}", self.uri)


def day(number: int) -> date:
    """The n-th day, from 1."""
    return FIRST_DAY.replace(day=number)


def land_rows(
    lake: Lake,
    found: Sequence[Found] | Source,
    *,
    on: date = FIRST_DAY,
    also: frozenset[date] = frozenset(),
    fields: FieldMapping = COMPARED,
    run_id: str = "run",
    name: str = NAME,
    now: datetime = datetime(2026, 11, 20, tzinfo=UTC),
    vectors: Sequence[VectorColumn] = (),
) -> LandingReport:
    """Land rows; the source gives them in this order."""
    spec = PythonSource.model_validate({"kind": "python", "class": "a:B", "fields": fields})
    return land(
        lake=lake,
        name=name,
        spec=spec,
        source=found if isinstance(found, Source) else Rows(found),
        day=on,
        also=also,
        first_day=FIRST_DAY,
        run_id=run_id,
        now=now,
        vectors=vectors,
    )


def newest(lake: Lake) -> dict[str, dict[str, Any]]:
    """Key -> newest raw row of the keys that exist; written apart from the product's own code."""
    rows = lake.raw(NAME).read().to_pylist()
    rows.sort(key=lambda row: (row["event_time"] or row["ingested_at"], row["ingested_at"]))
    return {
        key: row
        for key, row in {row["key"]: row for row in rows}.items()
        if row["operation"] == "upsert"
    }


def rejects(lake: Lake, on: date = FIRST_DAY) -> dict[str, str]:
    """Place -> reason of a day's rejects."""
    rows = lake.raw_rejects.read(where=[("ingest_date", "==", on)]).to_pylist()
    return {row["place"]: row["reason"] for row in rows}


def versions(lake: Lake) -> tuple[int, int, int]:
    """Versions of the three tables that landing writes."""
    return lake.raw(NAME).version(), lake.raw_rejects.version(), lake.landings.version()
