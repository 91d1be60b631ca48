"""Writing rows to a generation and deleting the old ones, in the order that readers can bear.

Belongs here: the order of writes, fences and deletes, what becomes of rows that the backend
refuses, and seeing that a delete takes what it was asked to and nothing else.

New rows are written and readable before old ones go, so a reader never misses a row that both
snapshots have.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

import pyarrow as pa

from vector_platform.errors import TerminalError
from vector_platform.indexes.contract import RowKey, RowsRejected
from vector_platform.indexes.plan import Plan
from vector_platform.indexes.rejected import RejectedRows
from vector_platform.indexes.state import GenerationState
from vector_platform.indexes.sync.context import SyncContext
from vector_platform.lake.snapshots import Snapshot
from vector_platform.progress import Paced

# Rows that are deleted at once, and of the first request, after which it is looked what happened.
DELETE_BATCH = 500
FIRST_DELETES = 50
# Refused rows that are named in the log; all of them are in the dead-letter table.
REFUSED_SHOWN = 10


class DeleteDiverged(TerminalError):
    """A backend has removed other rows than it was asked to. Nothing more is deleted."""


class RowWriter:
    """Writes rows to the generations of one backend."""

    def __init__(self, context: SyncContext) -> None:
        self._lake, self._target = context.lake, context.target
        self._run_id, self._progress = context.run_id, context.progress

    def write_then_delete(
        self,
        state: GenerationState,
        rows: Iterable[pa.RecordBatch],
        plan: Plan,
        snapshot: Snapshot,
        *,
        others: bool,
    ) -> tuple[int, int]:
        """Write rows, wait until reads see them, then delete what the plan says.

        The caller takes a proof next. `others`: whether an earlier process may have written what
        it has not waited for.

        Returns:
            Rows written, and rows that are deleted or have moved away.

        Raises:
            DeleteDiverged: More rows are gone than were to go, or some of these are still there.
        """
        generation = state.identity
        written = self.write(state, rows, snapshot, total=plan.upserts.num_rows)
        doomed = [
            (row["id"], row["tenant"])
            for row in plan.deletes.to_pylist()
            # Where an id exists once, writing it under its new tenant has removed the old copy.
            if not (row["moved"] and self._target.ids_are_global)
        ]
        self._target.fence(generation, others=others, proof_follows=not doomed)
        if doomed:
            self._delete(state, doomed, others=others)
        return written, plan.deletes.num_rows

    def _delete(self, state: GenerationState, doomed: Sequence[RowKey], *, others: bool) -> None:
        """Delete rows, a few first: what a delete does beside its task shows before it is large.

        The caller holds the index's lock, so nobody else changes the count. All that was deleted
        is held against the count from before the first: one that lags behind the deletes (that of
        Pinecone may) then looks like too few gone, never like too many.
        """
        generation = state.identity
        before = self._target.count(generation)
        rest = doomed[FIRST_DELETES:]
        self._target.delete(generation, doomed[:FIRST_DELETES])
        self._target.fence(generation, others=others)
        self._require_gone(state, doomed[:FIRST_DELETES], before)
        for start in range(0, len(rest), DELETE_BATCH):
            self._target.delete(generation, rest[start : start + DELETE_BATCH])
        if rest:
            self._target.fence(generation, others=others)
            self._require_gone(state, doomed, before)

    def _require_gone(self, state: GenerationState, doomed: Sequence[RowKey], before: int) -> None:
        """See that these rows are gone, and of `before` rows no more than these."""
        generation = state.identity
        after = self._target.count(generation)
        left = [
            (row["tenant"], row["id"])
            for batch in self._target.find(generation, doomed)
            for row in batch.to_pylist()
        ]
        where = f"{self._target.backend} {generation.index} {generation.name}"
        way_out = (
            f"Nothing more is deleted, and {generation.name} is not proven: the next sync, or "
            "vector-platform index repair, compares all of it with the lake and writes again what "
            "is missing. If it happens again, do not sync: find out what else writes there."
        )
        if before - after > len(doomed):
            raise DeleteDiverged(
                f"{where}: {before - after} rows are gone where {len(doomed)} were to be deleted, "
                f"for example {doomed[0][1]}/{doomed[0][0]}. {way_out}"
            )
        if left:
            tenant, row_id = left[0]
            raise DeleteDiverged(
                f"{where}: {len(left)} of {len(doomed)} deleted rows are still there, for example "
                f"{tenant}/{row_id}. {way_out}"
            )

    def write(
        self,
        state: GenerationState,
        rows: Iterable[pa.RecordBatch],
        snapshot: Snapshot,
        *,
        total: int | None = None,
        fresh: bool = False,
    ) -> int:
        """Write rows; what the backend refuses goes to the dead-letter table, the rest lands.

        Args:
            state: The generation.
            rows: What to write.
            snapshot: What they are of.
            total: How many there are, where known.
            fresh: As in `VectorIndex.upsert`.
        """
        rejected = RejectedRows(self._lake, state)
        held = rejected.held()
        refused: dict[RowKey, tuple[str, str, str]] = {}
        mended: set[RowKey] = set()
        written = 0
        paced = Paced(self._progress, f"rows written to {self._target.backend}", total)
        for batch in rows:
            reasons: dict[str, str] = {}
            try:
                self._target.upsert(state.identity, batch, fresh=fresh)
            except RowsRejected as error:
                reasons = error.reasons
            if reasons or held:
                for row in batch.drop_columns(["vector"]).to_pylist():
                    key = (row["id"], row["tenant"])
                    if row["id"] in reasons:
                        refused[key] = (row["digest"], row["doc_id"], reasons[row["id"]])
                    elif key in held:
                        mended.add(key)
            written += batch.num_rows - len(reasons)
            paced.reached(written)
        if refused or held:
            rejected.record(refused, mended, snapshot, run_id=self._run_id, now=datetime.now(UTC))
        for (row_id, tenant), (_, _, reason) in sorted(refused.items())[:REFUSED_SHOWN]:
            self._progress(f"refused {tenant}/{row_id}: {reason}")
        return written
