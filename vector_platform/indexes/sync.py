"""Bring an index to a lake snapshot: plan, guard, write, fence, delete, prove, record.

Belongs here: the order of those steps and what a run after a crash does. Does not belong here:
the comparison (`plan.py`), the proof (`verify.py`), or any backend.

The order is what makes a kill at any line harmless. Intent is recorded before the first write,
so a later run knows that the index may hold anything and compares in full; new rows are written
and readable before old ones go; `index_state` advances last, and only to what was verified.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import groupby
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa
from filelock import FileLock, Timeout

from vector_platform.errors import TransientError
from vector_platform.indexes.base import VectorIndex
from vector_platform.indexes.contract import Generation, RowsRejected
from vector_platform.indexes.plan import Plan, compare, guard_deletes
from vector_platform.indexes.state import GenerationState, IndexStates
from vector_platform.indexes.verify import IndexDiverged, Verification, actual_keys, verify
from vector_platform.lake.lake import Lake, Snapshot
from vector_platform.lake.tables import HistoryUnavailable

Mode = Literal["none", "changes", "full", "build"]
Progress = Callable[[str], None]

# Ids in one delete request: within both backends' limits.
DELETE_BATCH = 500


class SyncInProgress(TransientError):
    """Another process is writing the same index; two writers are never allowed."""


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
    """

    generation: GenerationState
    mode: Mode
    reason: str
    upserted: int
    deleted: int
    seconds: float
    verification: Verification | None

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


class IndexSync:
    """Syncs the generations of one index on one backend.

    Args:
        lake: Where desired state is.
        target: The backend.
        index: Logical index name.
        spec: How the backend builds it, as JSON; recorded with each generation.
        max_delete_share: Guard, see `plan.guard_deletes`.
        lock_dir: Folder of the lock that keeps a second writer out.
        run_id: Recorded with every change of state.
        progress: Called with one line now and then.
    """

    def __init__(
        self,
        lake: Lake,
        target: VectorIndex,
        *,
        index: str,
        spec: str,
        max_delete_share: float,
        lock_dir: Path,
        run_id: str,
        progress: Progress = lambda line: None,
    ) -> None:
        self._lake = lake
        self._target = target
        self._index = index
        self._spec = spec
        self._max_delete_share = max_delete_share
        self._lock = lock_dir / f"{target.backend}-{index}.lock"
        self._run_id = run_id
        self._progress = progress
        self.states = IndexStates(lake.index_state, target.backend, index)

    # -- verbs ------------------------------------------------------------------------------

    def sync(
        self, model_version: str, *, generation: str | None = None, allow_delete: int = 0
    ) -> SyncReport:
        """Bring a generation of a model version to the newest snapshot.

        Args:
            model_version: Whose vectors.
            generation: Which one; default the newest, or a new one when there is none.
            allow_delete: Deletes let through the guard this once.

        Raises:
            SnapshotIncomplete: Some chunks have no vector yet; nothing is written.
            DeleteGuard: Too much would be deleted; nothing is written.
            IndexDiverged: Not equal even after a repair; the state is not advanced.
            SyncInProgress: Somebody else is at it.
        """
        with self._exclusively():
            states = {state.generation: state for state in self.states.present()}
            state = states[generation] if generation else self.states.newest(model_version)
            return self._sync(state, model_version, allow_delete)

    def build(self, model_version: str) -> SyncReport:
        """Build a new generation beside the existing ones. Readers notice nothing."""
        with self._exclusively():
            return self._sync(None, model_version, 0)

    def verify(self, state: GenerationState, snapshot: Snapshot | None = None) -> Verification:
        """Compare a generation with the snapshot it is proven equal to, or with another one."""
        return verify(
            self._lake,
            self._target,
            state.identity,
            snapshot or state.snapshot or self._lake.snapshot(),
        )

    def repair(self, state: GenerationState, *, allow_delete: int = 0) -> SyncReport:
        """Compare everything with the newest snapshot and rewrite exactly what differs."""
        with self._exclusively():
            return self._apply_full(state, "repair", allow_delete, time.monotonic())

    def drop(self, state: GenerationState) -> None:
        """Remove a generation that nobody needs any more."""
        with self._exclusively():
            self._target.drop(state.identity)
            self.states.mark_dropped(state, run_id=self._run_id, now=_now())

    # -- steps ------------------------------------------------------------------------------

    def _sync(
        self, state: GenerationState | None, model_version: str, allow_delete: int
    ) -> SyncReport:
        started = time.monotonic()
        if state is None:
            return self._build(model_version, started)
        snapshot = self._lake.snapshot()
        if not self._target.exists(state.identity):
            # What it was proven equal to is no longer there, whatever happens from here on.
            state = self.states.mark_syncing(state, run_id=self._run_id, now=_now())
            self._target.create(state.identity)
            return self._apply_full(state, "the generation was gone", allow_delete, started)
        if state.status != "proven" or state.snapshot is None:
            return self._apply_full(state, "an earlier run did not finish", allow_delete, started)
        if (state.snapshot.chunks, state.snapshot.chunks_id) == (
            snapshot.chunks,
            snapshot.chunks_id,
        ):
            elapsed = time.monotonic() - started
            return SyncReport(state, "none", "the chunks did not change", 0, 0, elapsed, None)
        try:
            now, before = self._lake.index_changes(model_version, state.snapshot, snapshot)
        except HistoryUnavailable as gap:
            self._progress(f"comparing in full: {gap}")
            return self._apply_full(state, str(gap), allow_delete, started)
        plan = compare(now.to_batches(), before.to_batches())
        return self._apply(state, snapshot, plan, "changes", "change feed", allow_delete, started)

    def _build(self, model_version: str, started: float) -> SyncReport:
        model = self._lake.model_version(model_version)
        snapshot = self._lake.snapshot()
        rows = self._lake.index_rows(model_version, snapshot)
        first = next(rows, None)  # refuses an incomplete snapshot before anything exists
        state = self.states.begin(model, spec=self._spec, run_id=self._run_id, now=_now())
        self._target.create(state.identity)
        written = self._write(state.identity, _chain(first, rows))
        self._target.fence(state.identity)
        return self._prove(state, snapshot, "build", "new generation", written, 0, 0, started)

    def _apply_full(
        self, state: GenerationState, reason: str, allow_delete: int, started: float
    ) -> SyncReport:
        snapshot = self._lake.snapshot()
        plan = compare(
            self._lake.index_keys(state.model_version, snapshot),
            actual_keys(self._target, state.identity),
        )
        return self._apply(state, snapshot, plan, "full", reason, allow_delete, started)

    def _apply(
        self,
        state: GenerationState,
        snapshot: Snapshot,
        plan: Plan,
        mode: Mode,
        reason: str,
        allow_delete: int,
        started: float,
    ) -> SyncReport:
        guard_deletes(
            plan,
            index_rows=state.rows,
            max_share=self._max_delete_share,
            allowed=allow_delete,
        )
        rows = self._lake.index_rows(state.model_version, snapshot, ids=plan.upserts)
        first = next(rows, None)  # refuses an incomplete snapshot before the first write
        if not plan.empty:
            self._progress(plan.describe())
            state = self.states.mark_syncing(state, run_id=self._run_id, now=_now())
        written, deleted = self._write_then_delete(state.identity, _chain(first, rows), plan)
        return self._prove(state, snapshot, mode, reason, written, deleted, allow_delete, started)

    def _prove(
        self,
        state: GenerationState,
        snapshot: Snapshot,
        mode: Mode,
        reason: str,
        written: int,
        deleted: int,
        allow_delete: int,
        started: float,
    ) -> SyncReport:
        proof = verify(self._lake, self._target, state.identity, snapshot)
        if not proof.clean:
            self._progress(f"repairing: {proof.describe()}")
            guard_deletes(
                proof.plan,
                index_rows=state.rows,
                max_share=self._max_delete_share,
                allowed=allow_delete,
            )
            ids = pa.concat_tables(
                [proof.plan.upserts.select(["id"]), pa.table({"id": proof.vectors_differing})],
                promote_options="permissive",
            )
            state = self.states.mark_syncing(state, run_id=self._run_id, now=_now())
            rows = self._lake.index_rows(state.model_version, snapshot, ids=ids)
            more, gone = self._write_then_delete(state.identity, rows, proof.plan)
            written, deleted = written + more, deleted + gone
            proof = verify(self._lake, self._target, state.identity, snapshot)
        if not proof.clean:
            raise IndexDiverged(
                f"{self._target.backend} {self._index} {state.generation} differs from "
                f"{snapshot} after a repair: {proof.describe()}; samples {proof.facts()['samples']}"
            )
        state = self.states.prove(
            state, snapshot, proof.plan.actual, run_id=self._run_id, now=_now()
        )
        elapsed = time.monotonic() - started
        return SyncReport(state, mode, reason, written, deleted, elapsed, proof)

    def _write_then_delete(
        self, generation: Generation, rows: Iterable[pa.RecordBatch], plan: Plan
    ) -> tuple[int, int]:
        written = self._write(generation, rows)
        self._target.fence(generation)
        doomed = [
            (row["tenant"], row["id"])
            for row in plan.deletes.to_pylist()
            # Where an id exists once, writing it under its new tenant has removed the old copy.
            if not (row["moved"] and self._target.ids_are_global)
        ]
        for tenant, group in groupby(doomed, key=lambda pair: pair[0]):
            ids = [row_id for _, row_id in group]
            for start in range(0, len(ids), DELETE_BATCH):
                self._target.delete(generation, tenant, ids[start : start + DELETE_BATCH])
        if doomed:
            self._target.fence(generation)
        return written, plan.deletes.num_rows

    def _write(self, generation: Generation, rows: Iterable[pa.RecordBatch]) -> int:
        written = 0
        refused: dict[str, str] = {}
        for batch in rows:
            try:
                self._target.upsert(generation, batch)
            except RowsRejected as error:
                refused.update(error.reasons)
            written += batch.num_rows
            self._progress(f"{written} rows written")
        if refused:
            raise RowsRejected(refused)
        return written

    @contextmanager
    def _exclusively(self) -> Iterator[None]:
        self._lock.parent.mkdir(parents=True, exist_ok=True)
        try:
            with FileLock(self._lock, timeout=0):
                yield
        except Timeout as error:
            raise SyncInProgress(
                f"another process is writing {self._target.backend} {self._index} "
                f"(lock {self._lock.name}); run this again when it is done"
            ) from error


def _chain(
    first: pa.RecordBatch | None, rest: Iterator[pa.RecordBatch]
) -> Iterator[pa.RecordBatch]:
    if first is not None:
        yield first
    yield from rest


def _now() -> datetime:
    return datetime.now(UTC)
