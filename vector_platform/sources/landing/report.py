"""What one landing did, in numbers.

Belongs here: the report, and its facts for metadata.
"""

from __future__ import annotations

from dataclasses import dataclass, field

# Rows that a landing wrote, by what became of their keys, and how many of them came late.
COUNTS = ("inserted", "changed", "removed", "late")


@dataclass(frozen=True)
class LandingReport:
    """What one landing did.

    Attributes:
        rows_read: Rows the source gave, rejects included.
        inserted: Keys the lake did not hold (or held as removed).
        changed: Keys whose row differs from the one the lake held.
        removed: Keys that are gone: tombstones.
        late: Rows among these that happened before the day.
        rejected: Rows and files that may not land.
        seconds: Wall time.
        wrote: Whether anything was written at all.
        reject_reasons: Kind of reason -> number of rejects that have it.
        reject_sample: The first few rejects: place and reason.
        notes: What a person should know although nothing failed.
    """

    rows_read: int
    inserted: int
    changed: int
    removed: int
    late: int
    rejected: int
    seconds: float
    wrote: bool
    reject_reasons: dict[str, int] = field(default_factory=dict)
    reject_sample: list[dict[str, str]] = field(default_factory=list)
    notes: tuple[str, ...] = ()

    def facts(self) -> dict[str, int | float | str]:
        """The figures, and the notes as text, for run metadata."""
        figures: dict[str, int | float | str] = {
            name: getattr(self, name) for name in ("rows_read", *COUNTS, "rejected", "seconds")
        }
        figures["rows_per_second"] = round(self.rows_read / max(self.seconds, 1e-9), 1)
        return figures | ({"notes": "; ".join(self.notes)} if self.notes else {})
