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
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

import numpy as np

from vector_platform.indexes.contract import RowKey, StoredRow
from vector_platform.indexes.state import GenerationState
from vector_platform.lake.evaluations import Measurement, keep, times_measured
from vector_platform.lake.lake import Lake
from vector_platform.lake.snapshots import Snapshot

# Ids are spread over a circle of so many places by their hashes.
_CIRCLE = 2**64
KIND = "verification"
# Rows that a scan brings are in memory until they are compared: so many bytes, then no more.
BROUGHT_BYTES = 64 * 2**20


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


class WholeRows:
    """Rows that are read whole after a scan, and those of them that the scan could bring.

    Where a request shows all of a small tenant, it may as well show its rows whole: then nobody
    asks for them once more. What it does not bring is asked for, so a backend may leave it alone.

    Attributes:
        brought: Rows as `VectorIndex.whole_rows` has them.
    """

    def __init__(self) -> None:
        self.brought: dict[RowKey, StoredRow] = {}
        self._wanted: set[RowKey] = set()
        self._tenants: set[str] = set()
        self._all = False
        self._room = BROUGHT_BYTES

    def want(self, rows: Iterable[RowKey]) -> None:
        """Some more rows are read."""
        for key in rows:
            self._wanted.add(key)
            self._tenants.add(key[1])

    def want_all(self) -> None:
        """All rows are read."""
        self._all = True

    def wants(self, tenant: str) -> bool:
        """Whether rows of a tenant are worth bringing: some are read, and there is room."""
        return self._room > 0 and (self._all or tenant in self._tenants)

    def bring(self, rows: Mapping[RowKey, StoredRow]) -> None:
        """Keep those that are wanted."""
        for key, row in rows.items():
            if self._all or key in self._wanted:
                self.brought[key] = row
                self._room -= sum(
                    one.nbytes if isinstance(one, np.ndarray) else len(str(one))
                    for one in row.values()
                )


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
