"""Writing rows to a generation and deleting the old ones, in the order that readers can bear.

Belongs here: the order of writes, fences and deletes, and what becomes of rows that the backend
refuses. Does not belong here: which rows those are (`decision.py`, `plan.py`), the dead-letter
table (`rejected.py`), or any backend.

New rows are written and readable before old ones go, so a reader never misses a row that both
snapshots have.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import UTC, datetime

import pyarrow as pa

from vector_platform.indexes.base import VectorIndex
from vector_platform.indexes.contract import RowKey, RowsRejected
from vector_platform.indexes.plan import Plan
from vector_platform.indexes.rejected import RejectedRows
from vector_platform.indexes.state import GenerationState
from vector_platform.lake.lake import Lake, Snapshot

# Rows that are deleted at once.
DELETE_BATCH = 500
# Refused rows that are named in the log; all of them are in the dead-letter table.
REFUSED_SHOWN = 10


class RowWriter:
    """Writes rows to the generations of one backend.

    Args:
        lake: Where the dead-letter table is.
        target: The backend.
        run_id: Recorded with refused rows.
        progress: Called with one line now and then.
    """

    def __init__(
        self, lake: Lake, target: VectorIndex, *, run_id: str, progress: Callable[[str], None]
    ) -> None:
        self._lake = lake
        self._target = target
        self._run_id = run_id
        self._progress = progress

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

        `others`: whether an earlier process may have written what it has not waited for.

        Returns:
            Rows written, and rows that are deleted or have moved away.
        """
        generation = state.identity
        written = self.write(state, rows, snapshot)
        self._target.fence(generation, others=others)
        doomed = [
            (row["id"], row["tenant"])
            for row in plan.deletes.to_pylist()
            # Where an id exists once, writing it under its new tenant has removed the old copy.
            if not (row["moved"] and self._target.ids_are_global)
        ]
        for start in range(0, len(doomed), DELETE_BATCH):
            self._target.delete(generation, doomed[start : start + DELETE_BATCH])
        if doomed:
            self._target.fence(generation, others=others)
        return written, plan.deletes.num_rows

    def write(
        self,
        state: GenerationState,
        rows: Iterable[pa.RecordBatch],
        snapshot: Snapshot,
        *,
        fresh: bool = False,
    ) -> int:
        """Write rows; what the backend refuses goes to the dead-letter table, the rest lands."""
        rejected = RejectedRows(self._lake, state)
        held = rejected.held()
        refused: dict[RowKey, tuple[str, str, str]] = {}
        mended: set[RowKey] = set()
        written = 0
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
            self._progress(f"{written} rows written")
        if refused or held:
            rejected.record(refused, mended, snapshot, run_id=self._run_id, now=datetime.now(UTC))
        for (row_id, tenant), (_, _, reason) in sorted(refused.items())[:REFUSED_SHOWN]:
            self._progress(f"refused {tenant}/{row_id}: {reason}")
        return written
