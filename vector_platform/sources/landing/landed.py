"""What a source has already landed: the state that a new reading is compared with.

Belongs here: reading `raw/<source>` and `landings` into memory-lean maps.

Which version of a key is the newest: the one with the latest event time (the landing time, for
rows without one), and among those the one that landed last. So a late row of an older version
never replaces a newer one, whatever the order in which the days were landed.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date, datetime

from vector_platform.lake.storage.tables import Table


@dataclass(frozen=True, slots=True)
class LandedVersion:
    """The newest landed version of a key.

    Attributes:
        row_hash: Hash of its payload.
        operation: `upsert` or `delete`.
        uri: What it was read from.
        rank: Orders the versions of a key: (event or landing time, landing time).
    """

    row_hash: str
    operation: str
    uri: str
    rank: tuple[datetime, datetime]


@dataclass
class LandedState:
    """Everything a source has landed. Memory: one entry a landed version.

    Attributes:
        newest: Key -> its newest version.
        versions: (key, row_hash) of every version with an event time that has ever landed.
        last_landing: The latest landing time; None when nothing has landed.
    """

    newest: dict[str, LandedVersion] = field(default_factory=dict)
    versions: set[tuple[str, str]] = field(default_factory=set)
    last_landing: datetime | None = None

    def live(self) -> Iterator[tuple[str, LandedVersion]]:
        """Keys that exist according to the lake."""
        return ((key, row) for key, row in self.newest.items() if row.operation == "upsert")

    def knows(self, key: str, row_hash: str, operation: str, event_time: datetime | None) -> bool:
        """Whether a version need not land: it is the newest, or an older one that has landed."""
        newest = self.newest.get(key)
        if newest is None:
            return False
        if event_time is not None and event_time < newest.rank[0]:
            return (key, row_hash) in self.versions
        return newest.row_hash == row_hash and newest.operation == operation

    def add(self, key: str, version: LandedVersion, *, is_timed: bool) -> None:
        """Take in a version; `is_timed` when it has an event time."""
        if is_timed:
            self.versions.add((key, version.row_hash))
        newest = self.newest.get(key)
        if newest is None or newest.rank <= version.rank:
            self.newest[key] = version
        if self.last_landing is None or self.last_landing < version.rank[1]:
            self.last_landing = version.rank[1]


def read_landed(raw: Table, version: int) -> LandedState:
    """The state of a source's raw table at a version; payloads are not read."""
    state = LandedState()
    # Many rows share their file and their landing: one object serves all of them.
    uris: dict[str, str] = {}
    ranks: dict[tuple[datetime, datetime], tuple[datetime, datetime]] = {}
    columns = ["key", "row_hash", "operation", "uri", "event_time", "ingested_at"]
    for batch in raw.batches(columns, version=version):
        for row in batch.to_pylist():
            uri = uris.setdefault(row["uri"], row["uri"])
            rank = (row["event_time"] or row["ingested_at"], row["ingested_at"])
            rank = ranks.setdefault(rank, rank)
            operation = sys.intern(row["operation"])
            landed = LandedVersion(row["row_hash"], operation, uri, rank)
            state.add(row["key"], landed, is_timed=row["event_time"] is not None)
    return state


def landed_days(landings: Table, source: str) -> set[date]:
    """Days of a source that have been landed."""
    rows = landings.read(["ingest_date"], where=[("source", "==", source)])
    return set(rows.column("ingest_date").to_pylist())


def last_landing(landings: Table, source: str) -> datetime | None:
    """When a source was last landed, whatever the day; None before its first landing."""
    rows = landings.read(["landed_at"], where=[("source", "==", source)])
    return max(rows.column("landed_at").to_pylist(), default=None)
