"""What a sync has to do to a generation, and why: found by reading, before anything is written.

Belongs here: whether to build, compare in full, follow the change feed or do nothing, and the plan
of it.

A generation that was proven equal to a snapshot is followed by the change feed alone. Wherever
that cannot be relied on, everything is compared: after a run that did not finish, after something
has seen that the index is broken, after a gap in the history, and for an index that is no longer
there.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import pyarrow as pa

from vector_platform.indexes.plan import Plan, compare, overlooking
from vector_platform.indexes.state import GenerationState
from vector_platform.indexes.sync.context import SyncContext
from vector_platform.lake.snapshots import Snapshot
from vector_platform.lake.storage.table_reader import HistoryUnavailable

Mode = Literal["none", "changes", "full", "build"]


@dataclass(frozen=True)
class Decision:
    """What a sync has found to do: `plan` is None for a build and for nothing.

    `changes` are the touched rows as they are and as they were, where a change feed told.
    `every_row` asks for a proof that reads all rows whole.
    """

    mode: Mode
    reason: str
    snapshot: Snapshot
    plan: Plan | None
    changes: tuple[pa.Table, pa.Table] | None = None
    every_row: bool = False

    @property
    def others(self) -> bool:
        """Whether an earlier process may have written what it has not waited for.

        Changes are followed only where the last writer has proven what it wrote, after a fence.
        """
        return self.mode != "changes"


class Decider:
    """Finds what a sync has to do on one backend. Reads only."""

    def __init__(self, context: SyncContext) -> None:
        self._lake, self._target = context.lake, context.target
        self._progress = context.progress

    def decide(self, state: GenerationState | None, model_version: str) -> Decision:
        """What has to be done, and why; reads only."""
        snapshot = self._lake.snapshot()
        if state is None:
            return Decision("build", "new generation", snapshot, None)
        if not self._target.exists(state.identity):
            return self.decide_in_full(state, "the generation was gone", gone=True)
        if state.status != "proven" or state.snapshot is None:
            # What it was doubted for may be in any field, of any row.
            every_row = state.doubt is not None
            why = state.doubt or "an earlier run did not finish"
            return self.decide_in_full(state, why, every_row=every_row)
        rewrites = self._lake.distrusted_rows(model_version, snapshot, since=state.snapshot)
        if not rewrites.num_rows and (state.snapshot.chunks, state.snapshot.chunks_id) == (
            snapshot.chunks,
            snapshot.chunks_id,
        ):
            return Decision("none", "the chunks did not change", snapshot, None)
        try:
            now, before = self._lake.index_changes(model_version, state.snapshot, snapshot)
        except HistoryUnavailable as gap:
            self._progress(f"comparing in full: {gap}")
            return self.decide_in_full(state, str(gap))
        if rewrites.num_rows:
            now = pa.concat_tables([now, rewrites]).group_by(rewrites.column_names).aggregate([])
        plan = compare(now.to_batches(), overlooking(before.to_batches(), rewrites))
        return Decision("changes", "change feed", snapshot, plan, (now, before))

    def decide_in_full(
        self,
        state: GenerationState,
        reason: str,
        *,
        gone: bool = False,
        every_row: bool = False,
    ) -> Decision:
        """Compare all that a generation holds with the newest snapshot.

        Args:
            state: The generation.
            reason: Why in full.
            gone: Whether the backend does not have it any more, so that there is nothing to read.
            every_row: Whether the proof has to read all rows whole.
        """
        snapshot = self._lake.snapshot()
        rewrites = self._lake.distrusted_rows(state.model_version, snapshot, since=state.snapshot)
        actual = iter(()) if gone else self._target.scan(state.identity)
        plan = compare(
            self._lake.index_keys(state.model_version, snapshot), overlooking(actual, rewrites)
        )
        return Decision("full", reason, snapshot, plan, every_row=every_row)
