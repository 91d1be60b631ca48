"""The rejects that the lake holds: how many for which reason, and each of them.

Belongs here: reading `raw_rejects` for people. A reject leaves the table when its row lands, or
is gone from the source, in a later landing of the same day.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from typing import Any

from vector_platform.lake.storage.conditions import Condition
from vector_platform.lake.storage.tables import Table

# How a part of a reason begins that names a kind; what only goes on does not.
_KIND = re.compile(r"[a-z]+( [a-z]+)*(?=: )")


@dataclass(frozen=True)
class HeldRejects:
    """The rejects of one source on one day.

    Attributes:
        source: The source.
        day: The day that was landed.
        count: How many there are.
        reasons: Kind of reason -> rejects that have it, the most frequent first.
    """

    source: str
    day: date
    count: int
    reasons: dict[str, int]

    def frequent(self, most: int = 3) -> str:
        """The most frequent reasons: `2 malformed csv, 1 blank text`."""
        shown = [f"{count:,} {kind}" for kind, count in list(self.reasons.items())[:most]]
        left = len(self.reasons) - most
        return ", ".join([*shown, f"{left} other reason(s)"] if left > 0 else shown)


def held_rejects(
    table: Table, source: str | None = None, day: date | None = None
) -> list[HeldRejects]:
    """What is held, by source and day."""
    counted: dict[tuple[str, date], Counter[str]] = {}
    totals: Counter[tuple[str, date]] = Counter()
    for row in rejected_rows(table, source, day, columns=("reason",)):
        place = (row["source"], row["ingest_date"])
        totals[place] += 1
        kinds = _kinds(row["reason"])
        counted.setdefault(place, Counter()).update(kinds)
    return [
        HeldRejects(*place, totals[place], dict(counted[place].most_common()))
        for place in sorted(counted)
    ]


def _kinds(said: str) -> set[str]:
    """What `kind: what is wrong; kind: what else` names; one may have a second part of its own."""
    found = {match.group() for part in said.split("; ") if (match := _KIND.match(part))}
    return found or {said.partition(":")[0].strip()}


def rejected_rows(
    table: Table,
    source: str | None = None,
    day: date | None = None,
    *,
    columns: tuple[str, ...] = ("place", "key", "reason", "payload"),
) -> Iterator[dict[str, Any]]:
    """Rejects, one by one, each with its source and day."""
    where: list[Condition] = []
    if source is not None:
        where.append(("source", "==", source))
    if day is not None:
        where.append(("ingest_date", "==", day))
    for batch in table.batches(["source", "ingest_date", *columns], where=where):
        yield from batch.to_pylist()
