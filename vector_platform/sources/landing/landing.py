"""Landing: one reading of a source becomes rows of `raw/<source>`, all of them or none.

Belongs here: which rows of a reading are new to the lake.

**Incremental** sources (`fields.time`) land the rows that arrived on the day. Rows that arrived
on an earlier day that has been landed already (or before the first day) are late: they land now,
once. Rows of an earlier day that nobody landed yet wait for their own partition.
**Compared** sources land what differs from the newest landed version, and tombstones for keys
that are gone. What could not be read is not gone: a rejected row's key, and every key of a file
from which anything without a key was rejected, stays as it was.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Any

from vector_platform.lake.contract import hash_text
from vector_platform.lake.lake import Lake
from vector_platform.progress import Paced
from vector_platform.settings import FieldMapping, SourceSettings, SqlSource
from vector_platform.sources.base import (
    DayWindow,
    Reject,
    Source,
    SourceInvalid,
    SourceRow,
    SourceUnreachable,
)
from vector_platform.sources.landing.commits import LandingCommits
from vector_platform.sources.landing.landed import LandedState, landed_days, read_landed
from vector_platform.sources.landing.rejects import Rejects, rejects_spool
from vector_platform.sources.landing.report import COUNTS, LandingReport
from vector_platform.sources.landing.rows import CheckedRow, check_row
from vector_platform.sources.landing.spool import Spool

_TOMBSTONE = "{}"


def land(
    *,
    lake: Lake,
    name: str,
    spec: SourceSettings,
    source: Source,
    day: date,
    first_day: date,
    run_id: str,
    now: datetime,
    say: Callable[[str], None] = lambda line: None,
) -> LandingReport:
    """Land a day of a source. Running it again writes nothing unless the source has changed.

    Args:
        lake: Written to: `raw/<name>`, `raw_rejects`, `landings`.
        name: Name of the source.
        spec: Its section of `platform.yaml`.
        source: The opened source.
        day: The partition, a UTC day.
        first_day: The first partition; what happened before it is late by definition.
        run_id: Lineage of every row written.
        now: Landing time; moved past the latest landing when the clock went back.
        say: Told how far it is read, every few seconds.

    Raises:
        SourceUnreachable: The source broke off. Nothing has been written.
        SourceInvalid: The source's class gave something else than rows.
    """
    landing = _Landing(lake, name, spec, source, DayWindow(day), first_day, run_id, now)
    return landing.run(Paced(say, f"rows read of {name}"))


class _Landing:
    def __init__(
        self,
        lake: Lake,
        name: str,
        spec: SourceSettings,
        source: Source,
        window: DayWindow,
        first_day: date,
        run_id: str,
        now: datetime,
    ) -> None:
        self._lake, raw = lake, lake.raw(name)
        self._name, self._source, self._window = name, source, window
        self._fields: FieldMapping = spec.fields
        self._limits = spec.limits
        self._cursor = spec.cursor if isinstance(spec, SqlSource) and spec.fields.time else None
        self._first_day, self._run_id = first_day, run_id
        self._started = time.perf_counter()
        self._landed: LandedState = read_landed(raw)
        self._days = landed_days(lake.landings, name)
        self._landed_at = _after(now.astimezone(UTC), self._landed.last_landing)
        self._counts: Counter[str] = Counter()
        # Where each (key, day of arrival) was seen in this reading.
        self._seen: dict[tuple[str, date | None], str] = {}
        self._kept_keys: set[str] = set()
        self._kept_uris: set[str] = set()
        self._unseen_columns = _mapped_columns(spec.fields)

    def run(self, paced: Paced) -> LandingReport:
        with Spool(self._lake.raw(self._name).spec.schema) as rows, rejects_spool() as spool:
            rejects = Rejects(
                spool,
                source=self._name,
                day=self._window.day,
                run_id=self._run_id,
                rejected_at=self._landed_at,
            )
            for found in self._read():
                self._counts["rows_read"] += 1
                paced.reached(self._counts["rows_read"])
                if isinstance(found, Reject):
                    self._reject(rejects, found, (found.reason,))
                else:
                    self._take(found, rows, rejects)
            notes = list(self._notes())
            if self._fields.time is None:
                notes += self._bury(rows)
            wrote = LandingCommits(
                self._lake, self._name, self._window.day, self._run_id, self._landed_at
            ).write(rows, rejects, self._counts)
            return LandingReport(
                rows_read=self._counts["rows_read"],
                **{figure: self._counts[figure] for figure in COUNTS},
                rejected=rejects.count,
                seconds=round(time.perf_counter() - self._started, 3),
                wrote=wrote,
                reject_reasons=dict(rejects.reasons.most_common()),
                reject_sample=rejects.sample,
                notes=tuple(notes),
            )

    # -- reading ----------------------------------------------------------------------------

    def _read(self) -> Iterator[SourceRow | Reject]:
        try:
            for found in self._source.read(self._window):
                if not isinstance(found, (SourceRow, Reject)):
                    raise SourceInvalid(
                        self._name,
                        f"{type(self._source).__name__}.read gave {type(found).__name__}, "
                        "not SourceRow or Reject",
                    )
                yield found
        except OSError as error:
            raise SourceUnreachable(self._name, f"{type(error).__name__}: {error}") from error

    def _take(self, row: SourceRow, rows: Spool, rejects: Rejects) -> None:
        self._unseen_columns -= row.values.keys()
        checked = check_row(
            row,
            source=self._name,
            fields=self._fields,
            cursor=self._cursor,
            limits=self._limits,
        )
        if checked.arrival is not None and not self._is_due(checked):
            return
        problems = checked.problems
        if not problems and checked.key is not None:
            identity = (checked.key, checked.arrival.date() if checked.arrival else None)
            first = self._seen.setdefault(identity, row.place)
            if first != row.place:
                problems = (f"duplicate key: {checked.key!r} is also at {first}, which landed",)
        if problems:
            reject = Reject(
                place=row.place,
                reason="; ".join(problems),
                key=checked.key,
                payload=checked.payload or repr(row.values),
                uri=row.uri,
            )
            self._reject(rejects, reject, problems)
        else:
            self._add(checked, row.uri, rows)

    def _is_due(self, row: CheckedRow) -> bool:
        """Whether a row belongs into this day's landing."""
        assert row.arrival is not None
        arrived = row.arrival.date()
        if arrived >= self._window.day:
            return arrived == self._window.day
        return arrived in self._days or arrived < self._first_day

    def _reject(self, rejects: Rejects, reject: Reject, reasons: tuple[str, ...]) -> None:
        rejects.add(reject, reasons)
        if reject.key is not None:
            self._kept_keys.add(reject.key)
        else:
            self._kept_uris.add(reject.uri)

    # -- comparing --------------------------------------------------------------------------

    def _add(self, row: CheckedRow, uri: str, rows: Spool) -> None:
        key = row.key or ""
        if self._landed.knows(key, row.row_hash, row.operation, row.event_time):
            return
        if row.operation == "delete":
            self._counts["removed"] += 1
        else:
            before = self._landed.newest.get(key)
            is_new = before is None or before.operation == "delete"
            self._counts["inserted" if is_new else "changed"] += 1
        if row.event_time is not None and row.event_time < self._window.start:
            self._counts["late"] += 1
        rows.add(
            self._row(key, row.operation, row.payload or "", row.row_hash, row.event_time, uri)
        )

    def _bury(self, rows: Spool) -> list[str]:
        """Tombstones for the live keys that the reading did not hold. Returns notes."""
        held_back = 0
        for key, version in self._landed.live():
            if (key, None) in self._seen or key in self._kept_keys:
                continue
            if version.uri in self._kept_uris or "" in self._kept_uris:
                held_back += 1
                continue
            self._counts["removed"] += 1
            rows.add(self._row(key, "delete", _TOMBSTONE, hash_text(_TOMBSTONE), None, version.uri))
        note = (
            f"{held_back} key(s) were not seen but kept: something without a key was rejected "
            "from where they came from, and may be them"
        )
        return [note] if held_back else []

    def _row(
        self,
        key: str,
        operation: str,
        payload: str,
        row_hash: str,
        event_time: datetime | None,
        uri: str,
    ) -> dict[str, Any]:
        return {
            "ingest_date": self._window.day,
            "key": key,
            "operation": operation,
            "payload": payload,
            "row_hash": row_hash,
            "event_time": event_time,
            "source": self._name,
            "uri": uri,
            "run_id": self._run_id,
            "ingested_at": self._landed_at,
        }

    def _notes(self) -> Iterator[str]:
        yield from self._source.notes()
        if self._counts["rows_read"] == 0:
            live = sum(1 for _ in self._landed.live())
            yield f"the source gave no row at all; the lake held {live} of it"
        elif self._unseen_columns:
            yield f"no row has the mapped column(s) {', '.join(sorted(self._unseen_columns))}"


def _after(now: datetime, last: datetime | None) -> datetime:
    return now if last is None or last < now else last + timedelta(microseconds=1)


def _mapped_columns(fields: FieldMapping) -> set[str]:
    columns = {*fields.attribute_columns.values(), *fields.relations.values()}
    columns |= {column for column in (fields.title, fields.deleted) if column}
    return columns
