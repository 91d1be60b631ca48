"""Which rows a proof reads more of than their ids: a share, and another one each time.

Belongs here: the choice, and the record by which the next proof continues where this one ended.
Ids are always listed, all of them, so a missing or orphaned row is found by any proof. Digests are
read of all where that is free, else of a share; rows are read whole of a share. What is wrong with
either is found when its turn comes.
"""

from __future__ import annotations

import hashlib
import math
import uuid
from dataclasses import dataclass
from datetime import datetime

from vector_platform.indexes.state import GenerationState
from vector_platform.lake.evaluations import Measurement, keep, times_measured
from vector_platform.lake.lake import Lake
from vector_platform.lake.snapshots import Snapshot

# Ids are spread over a circle of so many places by their hashes.
_CIRCLE = 2**64
KIND = "verification"


@dataclass(frozen=True)
class ProofSample:
    """The ids whose digests one proof reads, or whose rows it reads whole.

    Each turn takes the next arc of a circle on which every id has its place. So `turns` proofs
    in a row read every digest, whatever the ids are, and no run depends on chance.

    Attributes:
        share: Share of the ids, 0 to 1.
        turn: Which proof this is, counted from 0.
    """

    share: float = 1.0
    turn: int = 0

    @property
    def everything(self) -> bool:
        """Whether no id is left out."""
        return self.share >= 1

    @property
    def turns(self) -> int | None:
        """Proofs that read every digest between them; None when none ever does."""
        return math.ceil(_CIRCLE / self._arc) if self._arc else None

    def has(self, row_id: str) -> bool:
        """Whether this row is among them."""
        if self.everything:
            return True
        place = int.from_bytes(hashlib.blake2b(row_id.encode(), digest_size=8).digest())
        return (place - self.turn * self._arc) % _CIRCLE < self._arc

    @property
    def _arc(self) -> int:
        # Rounded up: rounded down, a sliver of the circle would be left out of every round.
        return min(math.ceil(self.share * _CIRCLE), _CIRCLE)


EVERY_DIGEST = ProofSample()


class DigestTurns:
    """Whose turn it is, in the lake: one measurement for each proof by a share."""

    def __init__(self, lake: Lake, state: GenerationState) -> None:
        self._lake = lake
        self._state = state
        self._subject = f"{state.backend}/{state.index}/{state.generation}"

    def next(self) -> int:
        """The turn of the next proof of this generation."""
        return times_measured(self._lake, KIND, self._subject)

    def taken(
        self,
        digests: ProofSample,
        whole: ProofSample,
        snapshot: Snapshot,
        *,
        compared: int,
        differing: int,
        run_id: str,
        now: datetime,
    ) -> None:
        """Record a proof, so that the next one reads other rows. Nothing for one of everything.

        Two proofs at the same moment take the same turn: they read the same rows, no harm.
        """
        if digests.everything and whole.everything:
            return
        proof = Measurement(
            kind=KIND,
            subject=self._subject,
            model_version=self._state.model_version,
            metric="rows_differing",
            value=float(differing),
            sample_size=compared,
            details={"share": digests.share, "share_whole": whole.share, "turn": whole.turn},
            chunks_version=snapshot.chunks,
        )
        # Two proofs of a moment may be equal in all else, and are two.
        keep(self._lake, proof, run_id=run_id, now=now, evaluation_id=str(uuid.uuid4()))
