"""Landing: one reading of a source becomes rows of `raw/<source>`, all of them or none.

Belongs here: which rows of a reading are new to the lake.

**Incremental** sources (`fields.time`) land the rows that arrived on the day, and those of earlier
days that are landed with it. Rows that arrived on an earlier day that has been landed already (or
before the first day) are late: they land now, once. Rows of any other day wait for it, and are
counted; those of a day that cannot come are rejected.
**Compared** sources land what differs from the newest landed version, and tombstones for keys
that are gone. What could not be read is not gone: a rejected row's key, and every key of a file
from which anything without a key was rejected, stays as it was.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any

from vector_platform.lake.contract import hash_text
from vector_platform.lake.given import VectorColumn
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
from vector_platform.sources.landing.account import Account
from vector_platform.sources.landing.commits import LandingCommits
from vector_platform.sources.landing.days import LandingDays, after
from vector_platform.sources.landing.landed import landed_days, last_landing, read_landed
from vector_platform.sources.landing.rejects import Rejects, rejects_spool
from vector_platform.sources.landing.report import COUNTS, LandingReport
from vector_platform.sources.landing.rows import CheckedRow, check_row, optional_columns
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
    also: frozenset[date] = frozenset(),
    vectors: Sequence[VectorColumn] = (),
) -> LandingReport:
    """Land a day of a source, and earlier days with it, in one reading.

    Running it again writes nothing unless the source has changed.

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
        also: Earlier days that are landed in the same reading; for sources with a time only.
        vectors: What its rows must bring along.

    Raises:
        CommitConflict: Somebody else landed the source meanwhile. Nothing of this has been
            written; run it again.
        RowsUnaccounted: The reading does not add up.
        SourceUnreachable: The source broke off. Nothing has been written.
        SourceInvalid: The source's class gave something else than rows.
    """
    if spec.fields.time is None:
        also = frozenset()
    days = LandingDays(day, also, frozenset(landed_days(lake.landings, name)), first_day)
    landing = _Landing(lake, name, spec, source, days, run_id, now, vectors)
    return landing.run(Paced(say, f"rows read of {name}"))


class _Landing:
    def __init__(
        self,
        lake: Lake,
        name: str,
        spec: SourceSettings,
        source: Source,
        days: LandingDays,
        run_id: str,
        now: datetime,
        vectors: Sequence[VectorColumn],
    ) -> None:
        self._vectors = vectors
        self._lake, raw = lake, lake.raw(name)
        self._name, self._source, self._days = name, source, days
        self._window = days.window()
        self._fields: FieldMapping = spec.fields
        self._limits = spec.limits
        self._cursor = spec.cursor if isinstance(spec, SqlSource) and spec.fields.time else None
        self._run_id = run_id
        self._started = time.perf_counter()
        # What a day's rows are new to: at these versions, and no other landing after them.
        self._read_at = (raw.version(), lake.landings.version())
        self._landed = read_landed(raw, self._read_at[0])
        last = self._landed.last_landing, last_landing(lake.landings, name)
        self._landed_at = after(now.astimezone(UTC), max(filter(None, last), default=None))
        # A clock may be ahead of ours, and a time without a zone is taken as UTC.
        self._last_day = max(days.day, now.astimezone(UTC).date()) + timedelta(days=1)
        self._account = Account()
        # Where each (key, day of arrival) was seen in this reading.
        self._seen: dict[tuple[str, date | None], str] = {}
        self._kept_keys: set[str] = set()
        self._kept_uris: set[str] = set()
        self._unseen_columns = optional_columns(spec.fields)

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
                self._account.rows_read += 1
                paced.reached(self._account.rows_read)
                if isinstance(found, Reject):
                    self._reject(rejects, found, (found.reason,))
                else:
                    self._take(found, rows, rejects)
            notes = list(self._notes())
            if self._fields.time is None:
                notes += self._bury(rows)
            account = self._account
            account.balance(self._name, rejects.count)
            wrote = LandingCommits(
                lake=self._lake,
                source=self._name,
                day=self._window.day,
                also=self._days.also,
                run_id=self._run_id,
                landed_at=self._landed_at,
                read_at=self._read_at,
            ).write(rows, rejects, account)
            return LandingReport(
                rows_read=account.rows_read,
                landed=account.total("landed"),
                unchanged=account.total("unchanged"),
                rejected=rejects.count,
                waiting=account.waiting.total(),
                **{figure: account.total(figure) for figure in COUNTS},
                days=(*sorted(self._days.also), self._window.day),
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
            last_day=self._last_day,
            vectors=self._vectors,
        )
        day = (
            self._window.day
            if checked.arrival is None
            else self._days.lands_on(checked.arrival.date())
        )
        if day is None:
            self._leave(checked)
            return
        problems = checked.problems
        if not problems and checked.key is not None:
            identity = (checked.key, checked.arrival.date() if checked.arrival else None)
            if (first := self._seen.get(identity)) is not None:
                problems = (f"duplicate key: {checked.key!r} is also at {first}, which landed",)
            self._seen.setdefault(identity, row.place)
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
            self._add(checked, day, row.uri, rows)

    def _leave(self, row: CheckedRow) -> None:
        """Count a row of a day that is not landed now: it waits, if it has not landed before."""
        assert row.arrival is not None
        if row.key and self._landed.knows(row.key, row.row_hash, row.operation, row.event_time):
            self._account.days[self._window.day]["unchanged"] += 1
        else:
            self._account.waiting[row.arrival.date()] += 1

    def _reject(self, rejects: Rejects, reject: Reject, reasons: tuple[str, ...]) -> None:
        rejects.add(reject, reasons)
        if reject.key is not None:
            self._kept_keys.add(reject.key)
        else:
            self._kept_uris.add(reject.uri)

    # -- comparing --------------------------------------------------------------------------

    def _add(self, row: CheckedRow, day: date, uri: str, rows: Spool) -> None:
        key, counts = row.key or "", self._account.days[day]
        if self._landed.knows(key, row.row_hash, row.operation, row.event_time):
            counts["unchanged"] += 1
            return
        counts["landed"] += 1
        if row.operation == "delete":
            counts["removed"] += 1
        else:
            before = self._landed.newest.get(key)
            is_new = before is None or before.operation == "delete"
            counts["inserted" if is_new else "changed"] += 1
        if row.event_time is not None and row.event_time < DayWindow(day).start:
            counts["late"] += 1
        rows.add(
            self._row(key, row.operation, row.payload or "", row.row_hash, uri)
            | {"ingest_date": day, "event_time": row.event_time}
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
            self._account.days[self._window.day]["removed"] += 1
            rows.add(self._row(key, "delete", _TOMBSTONE, hash_text(_TOMBSTONE), version.uri))
        note = (
            f"{held_back} key(s) were not seen but kept: something without a key was rejected "
            "from where they came from, and may be them"
        )
        return [note] if held_back else []

    def _row(
        self, key: str, operation: str, payload: str, row_hash: str, uri: str
    ) -> dict[str, Any]:
        return {
            "ingest_date": self._window.day,
            "key": key,
            "operation": operation,
            "payload": payload,
            "row_hash": row_hash,
            "event_time": None,
            "source": self._name,
            "uri": uri,
            "run_id": self._run_id,
            "ingested_at": self._landed_at,
        }

    def _notes(self) -> Iterator[str]:
        yield from self._source.notes()
        yield from self._account.notes(self._name, self._window.day)
        if self._account.rows_read == 0:
            live = sum(1 for _ in self._landed.live())
            yield f"the source gave no row at all; the lake held {live} of it"
        elif self._unseen_columns:
            yield f"no row has the mapped column(s) {', '.join(sorted(self._unseen_columns))}"
