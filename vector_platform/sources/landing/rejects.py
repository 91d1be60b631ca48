"""The rejects of one landing: collected, counted, and compared with what the lake holds.

Belongs here: everything about rows that may not land, except why.
"""

from __future__ import annotations

from collections import Counter
from datetime import date, datetime

import pyarrow as pa

from vector_platform.lake.contract import RAW_REJECTS, hash_text
from vector_platform.lake.storage.conditions import Condition, sql_predicate
from vector_platform.lake.storage.tables import Table
from vector_platform.sources.base import Reject
from vector_platform.sources.landing.spool import Spool

# Enough for a person to see what is wrong; the table holds all of them.
SAMPLE_SIZE = 10
# A reject's payload helps to find the row, it is not a copy of it.
_MAX_PAYLOAD_CHARACTERS = 2000


class Rejects:
    """What may not land, of one source on one day."""

    def __init__(
        self, spool: Spool, *, source: str, day: date, run_id: str, rejected_at: datetime
    ) -> None:
        self._spool = spool
        self._fixed = {
            "source": source,
            "ingest_date": day,
            "run_id": run_id,
            "rejected_at": rejected_at,
        }
        self._digest: Counter[str] = Counter()
        self.reasons: Counter[str] = Counter()
        self.sample: list[dict[str, str]] = []

    @property
    def count(self) -> int:
        """Number of rejects."""
        return self._spool.rows

    def add(self, reject: Reject, reasons: tuple[str, ...] = ()) -> None:
        """Take in a reject; `reasons` are its parts when it has several."""
        row = {
            "place": _storable(reject.place),
            "key": None if reject.key is None else _storable(reject.key),
            "reason": _storable(reject.reason),
            "payload": (
                None
                if reject.payload is None
                else _storable(reject.payload)[:_MAX_PAYLOAD_CHARACTERS]
            ),
        }
        self.reasons.update({reason.partition(":")[0] for reason in reasons or (reject.reason,)})
        self._digest[_digest(row)] += 1
        if len(self.sample) < SAMPLE_SIZE:
            self.sample.append({"place": row["place"] or "", "reason": row["reason"] or ""})
        self._spool.add({**row, **self._fixed})

    def are_in(self, table: Table) -> bool:
        """Whether the lake holds exactly these rejects for the source and day."""
        held: Counter[str] = Counter()
        mine: list[Condition] = [
            ("source", "==", self._fixed["source"]),
            ("ingest_date", "==", self._fixed["ingest_date"]),
        ]
        for batch in table.batches(["place", "key", "reason", "payload"], where=mine):
            held.update(_digest(row) for row in batch.to_pylist())
        return held == self._digest

    def replace_in(self, table: Table) -> None:
        """Make the lake hold exactly these rejects for the source and day, in one commit."""
        source, day = self._fixed["source"], self._fixed["ingest_date"]
        rows: pa.Table = self._spool.table()
        table.replace(
            rows,
            where=sql_predicate([("source", "==", source), ("ingest_date", "==", str(day))]),
            metadata={"run_id": str(self._fixed["run_id"]), "what": f"rejects of {source} {day}"},
        )


def rejects_spool() -> Spool:
    """A spool for `Rejects`."""
    return Spool(RAW_REJECTS.schema)


def _storable(text: str) -> str:
    return text.encode("utf-8", "backslashreplace").decode()


def _digest(row: dict[str, str | None]) -> str:
    parts = (row["place"], row["key"], row["reason"], row["payload"])
    return hash_text("\x1f".join("\x00" if part is None else part for part in parts))
