"""Bring an index to a lake snapshot: plan, guard, write, fence, delete, prove, record.

Belongs here: the order of those steps and what a run after a crash does.

The order is what makes a kill at any line harmless. Whose the index is comes first, read from
the backend. Intent is recorded before the first write, on both sides, so a later run knows that
the index may hold anything and compares in full; new rows are written
and readable before old ones go; `index_state` advances last, and only to what was verified.

A writer locks the rows of one generation and nothing else (`indexes/lock.py`), so generations are
built, synced and made live side by side.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa

from vector_platform.errors import TransientError
from vector_platform.indexes.base import VectorIndex
from vector_platform.indexes.lock import WAIT_SECONDS, IndexLocks, SyncInProgress
from vector_platform.indexes.ownership.claims import Ownership, new_stamp
from vector_platform.indexes.plan import Plan, guard_deletes
from vector_platform.indexes.proof.verification import IndexDiverged, Verification
from vector_platform.indexes.state import GenerationState, IndexStates
from vector_platform.indexes.sync.decision import Decider, Decision
from vector_platform.indexes.sync.forecast import Forecast, forecast
from vector_platform.indexes.sync.proving import Prover
from vector_platform.indexes.sync.report import SyncReport
from vector_platform.indexes.sync.writing import DeleteDiverged, RowWriter
from vector_platform.lake.lake import Lake
from vector_platform.lake.snapshots import Snapshot

Progress = Callable[[str], None]

__all__ = ["GenerationGone", "IndexSync", "Progress", "SyncInProgress", "SyncReport"]

# Rows a build hands over at once: enough for full requests although each is of one tenant.
BUILD_ROWS = 16_384
# Rows any other writing hands over at once.
SYNC_ROWS = 4096
# So few tenants fill requests from a build's batch in any order, and nothing need be sorted.
FEW_TENANTS = 64


class GenerationGone(TransientError):
    """A generation was dropped while somebody waited to write it; the next run finds another."""


class IndexSync:
    """Syncs the generations of one index on one backend.

    Args:
        lake: Where desired state is.
        target: The backend.
        index: Logical index name.
        spec: How the backend builds it, as JSON; recorded with each generation.
        max_delete_share: Guard, see `plan.guard_deletes`.
        full_proof_hours: Age of the last full proof at which a sync of changes reads all back.
        verify_fetch_share: Share of the digests that a proof of all reads, see
            `indexes/proof_sample.py`.
        batch_rows: Rows in one request of the backend, for forecasts.
        lock_dir: Folder of the locks that keep a second writer out.
        wait_seconds: How long another writer of the same generation is waited for.
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
        full_proof_hours: float = 24,
        verify_fetch_share: float = 1.0,
        batch_rows: int = 1000,
        lock_dir: Path,
        wait_seconds: float = WAIT_SECONDS,
        run_id: str,
        progress: Progress = lambda line: None,
    ) -> None:
        self._lake = lake
        self._target = target
        self._index = index
        self._spec = spec
        self.max_delete_share = max_delete_share
        self._batch_rows = batch_rows
        self.locks = IndexLocks(
            lock_dir,
            target.backend,
            index,
            run_id=run_id,
            wait_seconds=wait_seconds,
            progress=progress,
        )
        self._run_id = run_id
        self._progress = progress
        self._decider = Decider(lake, target, progress=progress)
        self._writer = RowWriter(lake, target, run_id=run_id, progress=progress)
        self.prover = Prover(
            lake,
            target,
            full_proof_hours=full_proof_hours,
            fetch_share=verify_fetch_share,
            run_id=run_id,
        )
        self.states = IndexStates(lake.index_state, target.backend, index)
        self.ownership = Ownership(self.states, target)

    # -- verbs ------------------------------------------------------------------------------

    def sync(
        self,
        model_version: str,
        *,
        generation: str | None = None,
        allow_delete: int = 0,
        wait_seconds: float | None = None,
    ) -> SyncReport:
        """Bring a generation of a model version to the newest snapshot.

        Args:
            model_version: Whose vectors.
            generation: Which one; default the newest, or a new one when there is none.
            allow_delete: Deletes let through the guard this once.
            wait_seconds: How long another writer of that generation is waited for; None for as
                long as the sync always does.

        Raises:
            SnapshotIncomplete: Some chunks have no vector yet; nothing is written.
            DeleteGuard: Too much would be deleted; nothing is written.
            DeleteDiverged: The backend has deleted other rows than it was asked to.
            IndexDiverged: Not equal even after a repair; the state is not advanced.
            SyncInProgress: Somebody else still writes that generation.
            GenerationGone: It has been dropped.
            NotOurs: The index is another lake's, or was written by another history of this one.
        """
        self.ownership.require()
        while True:
            newest = None if generation else self.states.newest(model_version)
            name = generation or (newest.generation if newest else None)
            if name is None:
                report = self._begin(model_version, beside_others=False)
                if report is not None:
                    return report
                continue  # somebody else has begun one meanwhile: theirs is waited for
            with self.locks.writing(name).held(wait_seconds=wait_seconds), suppress(GenerationGone):
                state = self._current(name)
                with self._doubting(state):
                    return self._sync(state, model_version, allow_delete)
            if generation is not None:
                raise self._gone(generation)

    def build(self, model_version: str) -> SyncReport:
        """Build a new generation beside the existing ones. Readers notice nothing."""
        self.ownership.require()
        report = self._begin(model_version, beside_others=True)
        assert report is not None
        return report

    def verify(
        self, state: GenerationState, snapshot: Snapshot | None = None, *, every_row: bool = False
    ) -> Verification:
        """Compare a generation with the snapshot it is proven equal to, or with another one.

        One that differs from what it was proven equal to is not proven any more, from here on.

        Args:
            state: The generation.
            snapshot: What to compare it with, if not with what it is proven equal to.
            every_row: Read all rows whole, not those whose turn it is and some others.
        """
        against = snapshot or state.snapshot or self._lake.snapshot()
        proof = self.prover.read_all(state, against, every_row=every_row)
        if not proof.clean and against == state.snapshot:
            self.doubt(state, f"it differs from {against}: {proof.describe()}")
        return proof

    def doubt(self, state: GenerationState, reason: str) -> None:
        """Take back the proof of a generation that is known to be broken, until the next proof.

        Readers are told (`degraded`), and the next sync compares everything. Nothing happens where
        the generation has been written to since that state was read.
        """
        if self.states.doubt(state, reason, run_id=self._run_id, now=_now()):
            self._progress(f"{state.generation} is not proven any more: {reason}")

    def repair(self, state: GenerationState, *, allow_delete: int = 0) -> SyncReport:
        """Compare everything with the newest snapshot and rewrite exactly what differs.

        Raises:
            SyncInProgress: Somebody else still writes that generation.
            GenerationGone: It has been dropped.
        """
        with self.locks.writing(state.generation).held():
            started = time.monotonic()
            self.ownership.require()
            state = self._current(state.generation)
            if not self._target.exists(state.identity):
                state = self._make_again(state, self._lake.snapshot())
            decision = self._decider.decide_in_full(state, "repair", every_row=True)
            assert decision.plan is not None
            with self._doubting(state):
                return self._apply(state, decision, decision.plan, allow_delete, started)

    def drop(self, state: GenerationState) -> None:
        """Remove a generation that nobody needs any more."""
        self.ownership.require()
        writing = self.locks.writing(state.generation)
        with writing.held(), self.locks.catalogue.held():
            self._target.drop(state.identity)
            self.states.mark_dropped(state, run_id=self._run_id, now=_now())
            writing.forget()

    def is_current(self, state: GenerationState) -> bool:
        """Whether nothing has been added to the chunks, or taken from them, since a generation."""
        now, proven = self._lake.snapshot(), state.snapshot
        return proven is not None and (proven.chunks_id, proven.chunks) == (
            now.chunks_id,
            now.chunks,
        )

    def forecast(self, model_version: str, *, dimension: int | None = None) -> Forecast:
        """What `sync` would do to the newest generation of a model version. Writes nothing.

        Args:
            model_version: Whose vectors.
            dimension: Length of the vectors, for a model version that has none in the lake yet.

        Raises:
            UnknownModelVersion: The lake knows no vector of the model, and no dimension is given.
        """
        state = self.states.newest(model_version)
        return self._forecast(
            state, model_version, self._decider.decide(state, model_version), dimension
        )

    def _forecast(
        self,
        state: GenerationState | None,
        model_version: str,
        decision: Decision,
        dimension: int | None = None,
    ) -> Forecast:
        if state is not None:
            dimension = state.dimension
        return forecast(
            self._lake,
            self.states,
            decision,
            model_version=model_version,
            dimension=dimension or self._lake.model_version(model_version).dimension,
            generation=state.generation if state else None,
            batch_rows=self._batch_rows,
        )

    # -- steps ------------------------------------------------------------------------------

    @contextmanager
    def _doubting(self, state: GenerationState) -> Iterator[None]:
        """Tell readers when a block leaves a generation that is known to be broken."""
        try:
            yield
        except (DeleteDiverged, IndexDiverged) as error:
            for current in self.states.present():
                if current.generation == state.generation:
                    self.doubt(current, str(error))
            raise

    def _current(self, generation: str) -> GenerationState:
        """The state of a generation whose rows are locked by us, as the last writer has left it."""
        found = next((s for s in self.states.present() if s.generation == generation), None)
        if found is None:
            raise self._gone(generation)
        return found

    def _gone(self, generation: str) -> GenerationGone:
        return GenerationGone(
            f"{self._target.backend} {self._index} {generation} has been dropped by another run"
        )

    def _sync(self, state: GenerationState, model_version: str, allow_delete: int) -> SyncReport:
        started = time.monotonic()
        decision = self._decider.decide(state, model_version)
        forecast = self._forecast(state, model_version, decision)
        if decision.plan is None:
            elapsed = time.monotonic() - started
            none = SyncReport(state, decision.mode, decision.reason, 0, 0, elapsed, None)
            return replace(none, forecast=forecast)
        if not self._target.exists(state.identity):
            state = self._make_again(state, decision.snapshot)
        report = self._apply(state, decision, decision.plan, allow_delete, started)
        return replace(report, forecast=forecast)

    def _make_again(self, state: GenerationState, snapshot: Snapshot) -> GenerationState:
        """Make the place of a generation anew, after it has gone."""
        # What it was proven equal to is no longer there, whatever happens from here on.
        with self.locks.catalogue.held():
            return self._open(state, snapshot, create=True)

    def _begin(self, model_version: str, *, beside_others: bool) -> SyncReport | None:
        """Build a new generation; None when another one came first and there should be only one."""
        started = time.monotonic()
        decision = self._decider.decide(None, model_version)
        forecast = self._forecast(None, model_version, decision)
        model = self._lake.model_version(model_version)
        snapshot = self._lake.snapshot()
        rows = self._rows(model_version, snapshot, batch_rows=BUILD_ROWS)
        first = next(rows, None)  # refuses an incomplete snapshot before anything exists
        with ExitStack() as building:
            with self.locks.catalogue.held():
                if not beside_others and self.states.newest(model_version) is not None:
                    return None
                new = self.states.next(model)
                self.ownership.require_free(new)
                # Locked before anybody can see it: whoever finds it waits until it is built.
                building.enter_context(self.locks.writing(new.name).held())
                state = self.states.begin(model, spec=self._spec, run_id=self._run_id, now=_now())
                state = self._open(state, snapshot, create=True)
            written = self._writer.write(state, _chain(first, rows), snapshot, fresh=True)
            self._target.fence(state.identity, proof_follows=True)
            decision = Decision("build", "new generation", snapshot, None)
            report = self._prove(state, decision, written, 0, 0, started)
        return replace(report, forecast=forecast)

    def _apply(
        self,
        state: GenerationState,
        decision: Decision,
        plan: Plan,
        allow_delete: int,
        started: float,
    ) -> SyncReport:
        self._guard(state, plan, decision.snapshot, allow_delete)
        # Whoever moves the pointer from here on sees a lake that is as new as this snapshot, and
        # releases nothing that is older; whoever was about to move it has done so. So what goes
        # now is not brought back by a release that was caught up before.
        with self.locks.pointer.held():
            pass
        rows = self._rows(state.model_version, decision.snapshot, ids=plan.upserts)
        first = next(rows, None)  # refuses an incomplete snapshot before the first write
        if not plan.empty:
            self._progress(plan.describe())
            state = self._open(state, decision.snapshot)
        written, deleted = self._writer.write_then_delete(
            state, _chain(first, rows), plan, decision.snapshot, others=decision.others
        )
        return self._prove(state, decision, written, deleted, allow_delete, started)

    def _prove(
        self,
        state: GenerationState,
        decision: Decision,
        written: int,
        deleted: int,
        allow_delete: int,
        started: float,
    ) -> SyncReport:
        snapshot = decision.snapshot
        proof = self.prover.after(state, decision)
        if not proof.clean:
            self._progress(f"repairing: {proof.describe()}")
            self._guard(state, proof.plan, snapshot, allow_delete)
            ids = pa.concat_tables(
                [
                    proof.plan.upserts.select(["id"]),
                    pa.table({"id": pa.array([*proof.rows_differing], pa.string())}),
                ],
                promote_options="permissive",
            )
            state = self._open(state, snapshot)
            rows = self._rows(state.model_version, snapshot, ids=ids)
            more, gone = self._writer.write_then_delete(
                state, rows, proof.plan, snapshot, others=decision.others
            )
            written, deleted = written + more, deleted + gone
            proof = self.prover.read_all(
                state,
                snapshot,
                share=1.0,
                every_row=decision.every_row or bool(proof.rows_differing),
            )
        if not proof.clean:
            raise IndexDiverged(
                f"{self._target.backend} {self._index} {state.generation} differs from "
                f"{snapshot} after a repair: {proof.describe()}; samples {proof.facts()['samples']}"
            )
        self.ownership.require()  # nobody else has written meanwhile
        elapsed, fully = time.monotonic() - started, proof.scope == "all"
        # Where nothing was written, the stamp of the last writer stays.
        stamp = new_stamp(snapshot) if state.status != "proven" else None
        state = self.states.prove(
            state,
            snapshot,
            proof.plan.actual if fully else self._lake.count_rows(snapshot) - proof.refused,
            stamp=stamp,
            fully=fully,
            run_id=self._run_id,
            now=_now(),
            facts={
                "rows_written": str(written + deleted),
                "seconds": f"{elapsed:.3f}",
                "allowed_deletes": str(allow_delete),
            },
        )
        if stamp is not None:
            self._target.mark(state.identity, stamp)
        return SyncReport(state, decision.mode, decision.reason, written, deleted, elapsed, proof)

    def _rows(
        self,
        model_version: str,
        snapshot: Snapshot,
        *,
        ids: pa.Table | None = None,
        batch_rows: int = SYNC_ROWS,
    ) -> Iterator[pa.RecordBatch]:
        """Rows to write, in the order that takes the backend few requests."""
        apart = self._target.tenants_apart
        return self._lake.index_rows(
            model_version,
            snapshot,
            ids=ids,
            batch_rows=batch_rows,
            by_tenant=apart
            and (ids is not None or len(self._lake.count_tenants(snapshot)) > FEW_TENANTS),
        )

    def _open(
        self, state: GenerationState, snapshot: Snapshot, *, create: bool = False
    ) -> GenerationState:
        return self.ownership.open(state, snapshot, create=create, run_id=self._run_id, now=_now())

    def _guard(
        self, state: GenerationState, plan: Plan, snapshot: Snapshot, allow_delete: int
    ) -> None:
        """Refuse too many deletes, by what the index holds now and not by what is recorded.

        A build that was cut off is measured by what it was to become: nobody reads it yet.
        """
        if not plan.orphaned:
            return
        in_index, in_lake = self._target.count(state.identity), self._lake.count_rows(snapshot)
        guard_deletes(
            plan,
            in_index=max(in_index, in_lake) if state.status == "building" else in_index,
            in_lake=in_lake,
            max_share=self.max_delete_share,
            allowed=allow_delete,
        )


def _chain(
    first: pa.RecordBatch | None, rest: Iterator[pa.RecordBatch]
) -> Iterator[pa.RecordBatch]:
    if first is not None:
        yield first
    yield from rest


def _now() -> datetime:
    return datetime.now(UTC)
