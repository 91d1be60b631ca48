"""What a sync did, for people, metadata and machines.

Belongs here: the value.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from vector_platform.indexes.proof.verification import Verification
from vector_platform.indexes.state import GenerationState
from vector_platform.indexes.sync.decision import Mode
from vector_platform.indexes.sync.forecast import Forecast


@dataclass(frozen=True)
class SyncReport:
    """What a sync did.

    Attributes:
        generation: The generation's record after the sync.
        mode: `none` (already proven equal), `changes` (from the change feed), `full` (everything
            compared) or `build` (a new generation).
        reason: Why that mode.
        upserted: Rows written.
        deleted: Rows removed.
        seconds: Wall time.
        verification: The proof; None when nothing had to be done.
        forecast: What the sync was expected to do, of a sync that plans; None of a repair.
    """

    generation: GenerationState
    mode: Mode
    reason: str
    upserted: int
    deleted: int
    seconds: float
    verification: Verification | None
    forecast: Forecast | None = None

    def facts(self) -> dict[str, Any]:
        """Numbers first, for metadata and JSON."""
        written = self.upserted + self.deleted
        return {
            "rows": self.generation.rows,
            "rows_upserted": self.upserted,
            "rows_deleted": self.deleted,
            "seconds": round(self.seconds, 3),
            "rows_per_second": round(written / self.seconds, 1) if written else 0.0,
            "mode": self.mode,
            "reason": self.reason,
            "generation": self.generation.generation,
            "model_version": self.generation.model_version,
            "snapshot": str(self.generation.snapshot),
        }
