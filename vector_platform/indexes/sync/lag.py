"""How far the lake has moved on since the snapshot that a generation is equal to.

Belongs here: comparing two snapshots by what an index has of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from vector_platform.indexes.plan import compare
from vector_platform.lake.lake import Lake
from vector_platform.lake.snapshots import Snapshot
from vector_platform.lake.storage.table_reader import HistoryUnavailable


@dataclass(frozen=True)
class Lag:
    """What an index that equals one snapshot lacks to equal the newest.

    Attributes:
        newest: The lake's newest snapshot.
        versions: Versions of the chunks in between; None when the table was made anew.
        rows: Rows to write and to delete; None when the history does not tell.
    """

    newest: Snapshot
    versions: int | None
    rows: int | None

    @property
    def behind(self) -> bool:
        """Whether a sync would have anything to do, as far as the history tells."""
        return self.rows != 0

    def describe(self) -> str:
        """In words."""
        if not self.behind:
            return "nothing has changed since"
        versions = "the chunks were made anew" if self.versions is None else f"{self.versions} on"
        rows = "rows unknown" if self.rows is None else f"{self.rows} rows changed"
        return f"the lake is at {self.newest}, {versions}, {rows}"

    def facts(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "newest_snapshot": str(self.newest),
            "versions_behind": self.versions,
            "rows_behind": self.rows,
            "behind": self.behind,
        }


def lag_behind(lake: Lake, model_version: str, snapshot: Snapshot) -> Lag:
    """What has changed since a snapshot; costs what the changes cost."""
    newest = lake.snapshot()
    made_anew = snapshot.chunks_id != newest.chunks_id
    versions = None if made_anew else newest.chunks - snapshot.chunks
    rewrites = lake.distrusted_rows(model_version, newest, since=snapshot).num_rows
    try:
        now, before = lake.index_changes(model_version, snapshot, newest)
    except HistoryUnavailable:
        return Lag(newest, versions, None)
    plan = compare(now.to_batches(), before.to_batches())
    return Lag(newest, versions, plan.upserts.num_rows + plan.deletes.num_rows + rewrites)
