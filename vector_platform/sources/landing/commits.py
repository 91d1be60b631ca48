"""The three commits of a landing, in this order: rows, rejects, the `landings` row.

Belongs here: what is written, whether anything has to be, and what a killed run has left to count.

A killed run leaves a prefix of them. The next run of the day finds the rows landed, writes what is
missing, and takes the counts of the rows that have no `landings` row from that commit's metadata.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

import pyarrow as pa

from vector_platform.lake.contract import LANDINGS
from vector_platform.lake.lake import Lake
from vector_platform.lake.storage.conditions import Condition
from vector_platform.lake.storage.tables import Table
from vector_platform.sources.landing.rejects import Rejects
from vector_platform.sources.landing.report import COUNTS
from vector_platform.sources.landing.spool import Spool


@dataclass(frozen=True)
class LandingCommits:
    """Writes what one landing of a day has found.

    Attributes:
        lake: Written to: `raw/<source>`, `raw_rejects`, `landings`.
        source: Name of the source.
        day: The partition, a UTC day.
        run_id: Recorded with every commit.
        landed_at: Landing time.
    """

    lake: Lake
    source: str
    day: date
    run_id: str
    landed_at: datetime

    def write(self, rows: Spool, rejects: Rejects, counts: Counter[str]) -> bool:
        """Write what is not there yet. Returns whether anything was written.

        Args:
            rows: Rows that are new to the lake.
            rejects: All rejects of the reading.
            counts: Rows read, and rows by what became of their keys.
        """
        raw = self.lake.raw(self.source)
        before = self._last_landing()
        orphaned = self._orphaned_counts(raw)
        same_rejects = rejects.are_in(self.lake.raw_rejects)
        is_known = (
            rows.rows == 0
            and same_rejects
            and not orphaned
            and before is not None
            and before["rows_read"] == counts["rows_read"]
            and before["rejected"] == rejects.count
        )
        if is_known:
            return False
        lineage = {"run_id": self.run_id, "what": f"landing of {self.source} {self.day}"}
        figures = {figure: counts[figure] + orphaned[figure] for figure in COUNTS}
        if rows.rows:
            when = {"day": str(self.day), "landed_at": self.landed_at.isoformat()}
            said = {figure: str(count) for figure, count in figures.items()}
            raw.append(rows.table(), lineage | said | when)
        if not same_rejects:
            rejects.replace_in(self.lake.raw_rejects)
        landing = {
            "source": self.source,
            "ingest_date": self.day,
            "run_id": self.run_id,
            "landed_at": self.landed_at,
            "rows_read": counts["rows_read"],
            **figures,
            "rejected": rejects.count,
        }
        row = pa.Table.from_pylist([landing], schema=LANDINGS.schema)
        self.lake.landings.append(row, lineage)
        return True

    def _last_landing(self) -> dict[str, Any] | None:
        mine: list[Condition] = [("source", "==", self.source), ("ingest_date", "==", self.day)]
        rows: list[dict[str, Any]] = self.lake.landings.read(where=mine).to_pylist()
        return max(rows, key=lambda row: row["landed_at"], default=None)

    def _orphaned_counts(self, raw: Table) -> Counter[str]:
        """Counts of the newest raw commit, if it is of this day and a killed run left it alone."""
        commit = next(iter(raw.history(1)), {})
        if commit.get("day") != str(self.day):
            return Counter()
        last, landed_at = self._last_landing(), datetime.fromisoformat(commit["landed_at"])
        if last is not None and last["landed_at"] >= landed_at:
            return Counter()
        return Counter({figure: int(commit[figure]) for figure in COUNTS})
