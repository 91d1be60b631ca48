"""The platform's record of its index generations: what each was built from and is proven equal to.

Belongs here: reading and advancing `index_state`.

Status of a generation: `building` (not proven yet), `proven` (equal to its snapshot), `syncing`
(writes towards another snapshot have begun; whatever it holds must be compared in full), `doubted`
(was proven, and something has seen since that it is broken; compared in full, too), `dropped`
(gone; the row stays so that its name is never used again).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from statistics import median
from typing import Any, Literal

import pyarrow as pa

from vector_platform.indexes.contract import Generation
from vector_platform.lake.snapshots import ModelVersion, Snapshot
from vector_platform.lake.storage.commits import CommitConflict
from vector_platform.lake.storage.conditions import Condition
from vector_platform.lake.storage.tables import Table

# Generations that are proven at the same moment; each attempt lets at least one of them through.
COMMIT_ATTEMPTS = 8
# Commits of `index_state` that are looked at for the speed of recent syncs.
HISTORY = 200
MEANINGFUL_ROWS = 100

Status = Literal["building", "proven", "syncing", "doubted", "dropped"]


@dataclass(frozen=True)
class GenerationState:
    """One row of `index_state`.

    `fully_proven_at` is when all of it was last read back, `stamps` are what the backend may say
    of who wrote it last (`indexes/ownership/claims.py`), `lake` is the identity of the lake that
    says all this. `doubt` is what is known to be wrong with it; None when nothing is. The next
    proof clears it.
    """

    backend: str
    index: str
    generation: str
    model_version: str
    fingerprint: str
    dimension: int
    status: Status
    snapshot: Snapshot | None
    rows: int
    spec: str
    run_id: str
    created_at: datetime
    updated_at: datetime
    fully_proven_at: datetime | None = None
    stamps: tuple[str, ...] = ()
    lake: str = ""
    doubt: str | None = None

    @property
    def identity(self) -> Generation:
        """What the backend needs to know of it."""
        return Generation(
            self.index, self.generation, self.model_version, self.dimension, self.lake
        )


class IndexStates:
    """The generations of one index on one backend."""

    def __init__(self, table: Table, backend: str, index: str) -> None:
        self._table = table
        self._backend = backend
        self.index = index

    @property
    def lake(self) -> str:
        """The identity of the lake: the id that Delta gave this table when it was made.

        Made once, by whichever process is first, and copied with the lake. Empty before the
        first record of a generation.
        """
        return self._table.identity()[0]

    def all(self) -> list[GenerationState]:
        """Every generation ever made, oldest first."""
        mine: list[Condition] = [("backend", "==", self._backend), ("index", "==", self.index)]
        rows = self._table.read(where=mine).to_pylist()
        lake = self.lake
        return sorted((_from_row(row, lake) for row in rows), key=lambda state: state.generation)

    def present(self) -> list[GenerationState]:
        """Generations that have not been dropped, oldest first."""
        return [state for state in self.all() if state.status != "dropped"]

    def newest(self, model_version: str) -> GenerationState | None:
        """The newest generation of a model version that has not been dropped."""
        mine = [state for state in self.present() if state.model_version == model_version]
        return mine[-1] if mine else None

    def next(self, model: ModelVersion) -> Generation:
        """What the next new generation would be."""
        self._table.ensure()  # gives the lake its identity
        number = 1 + max((int(state.generation[1:]) for state in self.all()), default=0)
        return Generation(self.index, f"g{number:04d}", model.name, model.dimension, self.lake)

    def begin(
        self, model: ModelVersion, *, spec: str, run_id: str, now: datetime
    ) -> GenerationState:
        """Record the next new generation before anything of it exists."""
        generation = self.next(model)
        state = GenerationState(
            backend=self._backend,
            index=self.index,
            generation=generation.name,
            model_version=model.name,
            fingerprint=model.fingerprint,
            dimension=model.dimension,
            status="building",
            snapshot=None,
            rows=0,
            spec=spec,
            run_id=run_id,
            created_at=now,
            updated_at=now,
            lake=generation.lake,
        )
        return self._save(state)

    def mark_syncing(
        self, state: GenerationState, stamps: Sequence[str], *, run_id: str, now: datetime
    ) -> GenerationState:
        """Record the intent to write, so that a run after a crash knows it must compare in full.

        With the stamps that the backend may bear from now on.
        """
        status: Status = "building" if state.status == "building" else "syncing"
        return self._save(
            replace(state, status=status, stamps=tuple(stamps), run_id=run_id, updated_at=now)
        )

    def doubt(
        self, judged: GenerationState, reason: str, *, run_id: str, now: datetime
    ) -> GenerationState | None:
        """Record that a generation is known to be broken: it is not proven from now on.

        Args:
            judged: The record that was true when the damage was seen.
            reason: What was seen, for readers.
            run_id: Who has seen it.
            now: When.

        Returns:
            The new record; None when the generation has been written to since, so that what was
            seen says nothing of what it holds now.
        """
        for attempt in range(COMMIT_ATTEMPTS):
            current = next((s for s in self.all() if s.generation == judged.generation), None)
            if current is None or current.updated_at != judged.updated_at:
                return None
            if current.status in ("building", "dropped"):
                return None
            status: Status = "syncing" if current.status == "syncing" else "doubted"
            doubted = replace(current, status=status, doubt=reason, run_id=run_id, updated_at=now)
            try:
                return self._commit(doubted)
            except CommitConflict:
                # Somebody else's record, or this one: look again before saying it once more.
                if attempt == COMMIT_ATTEMPTS - 1:
                    raise
        return None

    def prove(
        self,
        state: GenerationState,
        snapshot: Snapshot,
        rows: int,
        *,
        stamp: str | None,
        run_id: str,
        now: datetime,
        fully: bool,
        facts: Mapping[str, str] | None = None,
    ) -> GenerationState:
        """Record that a generation has been verified equal to a snapshot. Always the last step.

        `stamp`, if there is a new one, goes to the backend next, which bears an older one until
        then. `fully` says whether all of it was read back, or what a sync of changes has touched.
        `facts` of the sync are kept with the commit, for `speed` and for whoever reads the log.
        """
        return self._save(
            replace(
                state,
                status="proven",
                snapshot=snapshot,
                rows=rows,
                run_id=run_id,
                updated_at=now,
                fully_proven_at=now if fully else state.fully_proven_at,
                stamps=(*state.stamps, *([stamp] if stamp else [])),
                doubt=None,
            ),
            facts,
        )

    def speed(self) -> float | None:
        """Rows a second of this index's recent syncs, proof included (median); None without any.

        Syncs of a few rows say little of speed and are left out.
        """
        speeds = [
            int(commit["rows_written"]) / float(commit["seconds"])
            for commit in self._table.history(HISTORY)
            if commit.get("place") == self._place
            and int(commit.get("rows_written", 0)) >= MEANINGFUL_ROWS
            and float(commit.get("seconds", 0)) > 0
        ]
        return median(speeds) if speeds else None

    @property
    def _place(self) -> str:
        return f"{self._backend}/{self.index}"

    def mark_dropped(
        self, state: GenerationState, *, run_id: str, now: datetime
    ) -> GenerationState:
        """Record that a generation is no longer there."""
        return self._save(replace(state, status="dropped", run_id=run_id, updated_at=now))

    def _save(
        self, state: GenerationState, facts: Mapping[str, str] | None = None
    ) -> GenerationState:
        for attempt in range(COMMIT_ATTEMPTS):
            try:
                return self._commit(state, facts)
            except CommitConflict:
                # Another backend's record was written at the same moment; ours does not depend
                # on it, and this index's own writers are kept apart by the sync's lock.
                if attempt == COMMIT_ATTEMPTS - 1:
                    raise
        return state

    def _commit(
        self, state: GenerationState, facts: Mapping[str, str] | None = None
    ) -> GenerationState:
        row = {
            **{name: getattr(state, name) for name in _PLAIN},
            "chunks_version": state.snapshot.chunks if state.snapshot else None,
            "embeddings_version": state.snapshot.embeddings if state.snapshot else None,
            "chunks_id": state.snapshot.chunks_id if state.snapshot else None,
            "stamps": list(state.stamps),
        }
        rows = pa.Table.from_pylist([row], schema=self._table.spec.schema)
        metadata = {
            "run_id": state.run_id,
            "what": f"{state.generation} {state.status}",
            "place": self._place,
            **(facts or {}),
        }
        self._table.merge(rows, metadata=metadata)
        return state


_PLAIN = (
    "backend",
    "index",
    "generation",
    "model_version",
    "fingerprint",
    "dimension",
    "status",
    "rows",
    "spec",
    "run_id",
    "created_at",
    "updated_at",
    "fully_proven_at",
    "doubt",
)


def _from_row(row: dict[str, Any], lake: str) -> GenerationState:
    snapshot = None
    if row["chunks_version"] is not None:
        snapshot = Snapshot(row["chunks_version"], row["embeddings_version"], row["chunks_id"])
    # A table written before a column was added has no value in it.
    stamps = tuple(row.get("stamps") or ())
    plain: dict[str, Any] = {name: row.get(name) for name in _PLAIN}
    return GenerationState(snapshot=snapshot, stamps=stamps, lake=lake, **plain)
