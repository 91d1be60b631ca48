"""What reading an index back has found, for people, metadata and machines.

Belongs here: the value, and the error for an index that cannot be made equal.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, Literal

from vector_platform.errors import VectorPlatformError
from vector_platform.indexes.plan import Plan
from vector_platform.lake.snapshots import Snapshot

# Rows and tenants that are named.
SHOWN = 10


class IndexDiverged(VectorPlatformError):
    """An index differs from the lake even after a repair."""


@dataclass(frozen=True)
class Verification:
    """The outcome of reading an index back.

    Attributes:
        plan: The difference; empty when equal.
        snapshot: What it was compared with.
        rows_compared: Rows that were read back whole, vectors included.
        rows_differing: Id -> fields that are not as they should be, of those among them that
            ids and digests say nothing of.
        refused: Rows that the backend refuses, excused from the comparison.
        scope: Whether `all` rows were read back, or those that the sync `changes`.
        others: Of `changes`, rows looked at that the sync had nothing to do with.
        miscounted: Of `changes`, what does not hold as many rows as it should, a line each.
    """

    plan: Plan
    snapshot: Snapshot
    rows_compared: int
    rows_differing: Mapping[str, str] = field(default_factory=dict)
    refused: int = 0
    scope: Literal["all", "changes"] = "all"
    others: int = 0
    miscounted: list[str] = field(default_factory=list)

    @property
    def clean(self) -> bool:
        """Whether index and snapshot are equal."""
        return self.plan.empty and not self.rows_differing and not self.miscounted

    def describe(self) -> str:
        """One line of counts."""
        changes = self.scope == "changes"
        touched = f"of the rows touched and {self.others} others, " if changes else ""
        names = {name for row in self.rows_differing.values() for name in row.split(", ")}
        fields = f" in {', '.join(sorted(names))}" if names else ""
        miscounted = f"; counts differ: {', '.join(self.miscounted[:SHOWN])}"
        return (
            f"{touched}{self.plan.describe()}; "
            f"{len(self.rows_differing)} of {self.rows_compared} rows read whole differ{fields}; "
            f"{self.refused} refused rows excused{miscounted if self.miscounted else ''}"
        )

    def facts(self) -> dict[str, Any]:
        """Numbers and samples for metadata and JSON."""
        return {
            "rows_desired": self.plan.desired,
            "rows_actual": self.plan.actual,
            "missing": self.plan.missing,
            "stale": self.plan.stale,
            "orphaned": self.plan.orphaned,
            "wrong_tenant": self.plan.moved,
            "duplicated": self.plan.duplicated,
            "digests_read": self.plan.digests_read,
            "rows_compared": self.rows_compared,
            "rows_differing": len(self.rows_differing),
            "refused": self.refused,
            "scope": self.scope,
            "others_compared": self.others,
            "miscounted": len(self.miscounted),
            "snapshot": str(self.snapshot),
            "samples": {
                **self.plan.samples(),
                "contents": [
                    f"{row_id}: {fields}"
                    for row_id, fields in islice(self.rows_differing.items(), SHOWN)
                ],
                "counts": self.miscounted[:SHOWN],
            },
        }
