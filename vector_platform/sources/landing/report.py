"""What one landing did, in numbers.

Belongs here: the report, and its facts for metadata.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date

# Rows that a landing wrote, by what became of their keys, and how many of them came late.
COUNTS = ("inserted", "changed", "removed", "late")
# Every row that was read is one of these.
ACCOUNT = ("landed", "unchanged", "rejected", "waiting")


@dataclass(frozen=True)
class LandingReport:
    """What one landing did.

    Attributes:
        rows_read: Rows the source gave, rejects included: the sum of the next four.
        landed: Rows among them that were written.
        unchanged: Rows among them that had landed before.
        rejected: Rows and files that may not land.
        waiting: Rows that arrived on a day that was not landed now.
        inserted: Keys the lake did not hold (or held as removed).
        changed: Keys whose row differs from the one the lake held.
        removed: Keys that are gone: tombstones, also for keys that no longer come.
        late: Rows among these that happened before their day.
        seconds: Wall time.
        wrote: Whether anything was written at all.
        days: Days that were landed, the last of them being the one that was asked for.
        reject_reasons: Kind of reason -> number of rejects that have it.
        reject_sample: The first few rejects: place and reason.
        notes: What a person should know although nothing failed.
    """

    rows_read: int
    landed: int
    unchanged: int
    rejected: int
    waiting: int
    inserted: int
    changed: int
    removed: int
    late: int
    seconds: float
    wrote: bool
    days: tuple[date, ...] = ()
    reject_reasons: dict[str, int] = field(default_factory=dict)
    reject_sample: list[dict[str, str]] = field(default_factory=list)
    notes: tuple[str, ...] = ()

    def facts(self) -> dict[str, int | float | str]:
        """The figures, and the notes as text, for run metadata."""
        figures: dict[str, int | float | str] = {
            name: getattr(self, name) for name in ("rows_read", *ACCOUNT, *COUNTS, "seconds")
        }
        figures["days"] = len(self.days)
        figures["rows_per_second"] = round(self.rows_read / max(self.seconds, 1e-9), 1)
        return figures | ({"notes": "; ".join(self.notes)} if self.notes else {})
