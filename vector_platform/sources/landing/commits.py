"""The three commits of a landing, in this order: rows, rejects, the `landings` row.

Belongs here: what is written, whether anything has to be, and what a killed run has left to count.

A killed run leaves a prefix of them. The next run of the day finds the rows landed, writes what is
missing, and takes the counts of the rows that have no `landings` row from that commit's metadata.
Of two landings of a source at once, on one machine or two, the commit of the second is refused:
rows are new to the versions that they were compared with, and to no others.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

import pyarrow as pa

from vector_platform.lake.contract import LANDINGS, canonical_json
from vector_platform.lake.lake import Lake
from vector_platform.lake.storage.commits import Decided
from vector_platform.lake.storage.tables import Table
from vector_platform.sources.landing.account import Account
from vector_platform.sources.landing.rejects import Rejects
from vector_platform.sources.landing.report import COUNTS
from vector_platform.sources.landing.spool import Spool


@dataclass(frozen=True, kw_only=True)
class LandingCommits:
    """Writes what one landing has found.

    Attributes:
        lake: Written to: `raw/<source>`, `raw_rejects`, `landings`.
        source: Name of the source.
        day: The partition, a UTC day.
        also: Earlier days that were landed in the same reading.
        run_id: Recorded with every commit.
        landed_at: Landing time.
        read_at: Versions of `raw/<source>` and `landings` that the reading was compared with.
    """

    lake: Lake
    source: str
    day: date
    also: frozenset[date]
    run_id: str
    landed_at: datetime
    read_at: tuple[int, int]

    def write(self, rows: Spool, rejects: Rejects, account: Account) -> bool:
        """Write what is not there yet. Returns whether anything was written.

        Args:
            rows: Rows that are new to the lake.
            rejects: All rejects of the reading.
            account: What became of every row.

        Raises:
            CommitConflict: Somebody else has landed the source since it was compared.
        """
        raw = self.lake.raw(self.source)
        before = self._landings()
        orphaned = self._orphaned_counts(raw, before)
        same_rejects = rejects.are_in(self.lake.raw_rejects)
        last = before.get(self.day)
        is_known = (
            rows.rows == 0
            and same_rejects
            and not any(orphaned.values())
            and self.also <= before.keys()
            and last is not None
            and last["rows_read"] == account.rows_read
            and last["rejected"] == rejects.count
        )
        if is_known:
            return False
        lineage = {"run_id": self.run_id, "what": f"landing of {self.source} {self.day}"}
        writer = f"landing of {self.source}"
        if rows.rows:
            counts = {
                str(day): figures
                for day in (self.day, *self.also)
                if any((figures := self._figures(account, orphaned, day)).values())
            }
            said = {"counts": canonical_json(counts), "landed_at": self.landed_at.isoformat()}
            raw.append(rows.table(), lineage | said, decided=Decided(writer, self.read_at[0]))
        if not same_rejects:
            rejects.replace_in(self.lake.raw_rejects)
        landings = [
            self._landing(account, day)
            | self._figures(account, orphaned, day)
            | {"rejected": rejects.count if day == self.day else 0}
            for day in (self.day, *sorted(self.also))
            if day == self.day or day not in before or account.days[day] or orphaned[day]
        ]
        table = pa.Table.from_pylist(landings, schema=LANDINGS.schema)
        self.lake.landings.append(table, lineage, decided=Decided(writer, self.read_at[1]))
        return True

    def _figures(
        self, account: Account, orphaned: Mapping[date, Counter[str]], day: date
    ) -> dict[str, int]:
        own = account.figures(day)
        return {figure: own[figure] + orphaned[day][figure] for figure in COUNTS}

    def _landing(self, account: Account, day: date) -> dict[str, Any]:
        """A row of `landings` without its counts; only the asked day's is of the whole reading."""
        is_asked = day == self.day
        own = account.days[day]
        others = sum(account.days[one]["unchanged"] for one in self.also)
        return {
            "source": self.source,
            "ingest_date": day,
            "run_id": self.run_id,
            "landed_at": self.landed_at,
            "rows_read": account.rows_read if is_asked else account.rows_of(day),
            "unchanged": own["unchanged"] + (others if is_asked else 0),
            "waiting": account.waiting.total() if is_asked else 0,
        }

    def _landings(self) -> dict[date, dict[str, Any]]:
        """The newest landing of each day."""
        rows = self.lake.landings.read(where=[("source", "==", self.source)]).to_pylist()
        rows.sort(key=lambda row: row["landed_at"])
        return {row["ingest_date"]: row for row in rows}

    def _orphaned_counts(
        self, raw: Table, before: Mapping[date, dict[str, Any]]
    ) -> defaultdict[date, Counter[str]]:
        """Counts of the newest raw commit, of those days that a killed run left without a row."""
        commit = next(iter(raw.history(1)), {})
        found: defaultdict[date, Counter[str]] = defaultdict(Counter)
        if "counts" not in commit:
            return found
        landed_at = datetime.fromisoformat(commit["landed_at"])
        for text, counts in json.loads(commit["counts"]).items():
            day = date.fromisoformat(text)
            last = before.get(day)
            is_mine = day == self.day or day in self.also
            if is_mine and (last is None or last["landed_at"] < landed_at):
                found[day].update(counts)
        return found
