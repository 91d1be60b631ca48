"""Carrying out what a sync has decided: guard, write, fence, delete, prove, record.

Belongs here: the order of those steps, whatever brought the decision about.

The order is what makes a kill at any line harmless. Intent is recorded before the first write, on
both sides, so a later run knows that the index may hold anything and compares in full; new rows
are written and readable before old ones go; `index_state` advances last, and only to what was
verified.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import chain

import pyarrow as pa

from vector_platform.indexes.ownership.claims import new_stamp
from vector_platform.indexes.plan import Plan, guard_deletes
from vector_platform.indexes.proof.verification import IndexDiverged
from vector_platform.indexes.state import GenerationState
from vector_platform.indexes.sync.context import SyncContext
from vector_platform.indexes.sync.decision import Decision
from vector_platform.indexes.sync.proving import Prover
from vector_platform.indexes.sync.report import SyncReport
from vector_platform.indexes.sync.writing import RowWriter
from vector_platform.lake.snapshots import Snapshot

# Rows any other writing hands over at once.
SYNC_ROWS = 4096
# So few tenants fill requests from a build's batch in any order, and nothing need be sorted.
FEW_TENANTS = 64


class Applier:
    """Carries out decisions on the generations of one index, whose rows the caller has locked."""

    def __init__(self, context: SyncContext) -> None:
        self._context = context
        self._lake, self._target = context.lake, context.target
        self._writer = RowWriter(context)
        self.prover = Prover(context)

    def build(
        self,
        state: GenerationState,
        rows: Iterator[pa.RecordBatch],
        decision: Decision,
        started: float,
    ) -> SyncReport:
        """Write all rows of a generation that holds none yet, and prove it.

        Args:
            state: The generation; its place is made.
            rows: What it is to hold.
            decision: To build.
            started: When, on the monotonic clock.

        Raises:
            IndexDiverged: Not equal even after a repair; the state is not advanced.
        """
        total = self._context.lake.count_rows(decision.snapshot)
        written = self._writer.write(state, rows, decision.snapshot, total=total, fresh=True)
        self._target.fence(state.identity, proof_follows=True)
        return self._prove(state, decision, written, 0, 0, started)

    def apply(
        self,
        state: GenerationState,
        decision: Decision,
        plan: Plan,
        allow_delete: int,
        started: float,
    ) -> SyncReport:
        """Write and delete what a plan says, and prove the generation.

        Args:
            state: The generation.
            decision: What the plan is of.
            plan: What to write and to delete.
            allow_delete: Deletes let through the guard.
            started: When, on the monotonic clock.

        Raises:
            DeleteGuard: Too much would be deleted; nothing is written.
            DeleteDiverged: The backend has deleted other rows than it was asked to.
            IndexDiverged: Not equal even after a repair; the state is not advanced.
        """
        self._guard(state, plan, decision.snapshot, allow_delete)
        # Whoever moves the pointer from here on sees a lake that is as new as this snapshot, and
        # releases nothing that is older; whoever was about to move it has done so. So what goes
        # now is not brought back by a release that was caught up before.
        with self._context.locks.pointer.held():
            pass
        rows = self.rows(state.model_version, decision.snapshot, ids=plan.upserts)
        if not plan.empty:
            self._context.progress(plan.describe())
            state = self.open(state, decision.snapshot)
        written, deleted = self._writer.write_then_delete(
            state, rows, plan, decision.snapshot, others=decision.others
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
            self._context.progress(f"repairing: {proof.describe()}")
            self._guard(state, proof.plan, snapshot, allow_delete)
            ids = pa.concat_tables(
                [
                    proof.plan.upserts.select(["id"]),
                    pa.table({"id": pa.array([*proof.rows_differing], pa.string())}),
                ],
                promote_options="permissive",
            )
            state = self.open(state, snapshot)
            rows = self.rows(state.model_version, snapshot, ids=ids)
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
                f"{self._target.backend} {self._context.index} {state.generation} differs from "
                f"{snapshot} after a repair: {proof.describe()}; samples {proof.facts()['samples']}"
            )
        self._context.ownership.require()  # nobody else has written meanwhile
        elapsed, fully = time.monotonic() - started, proof.scope == "all"
        # Where nothing was written, the stamp of the last writer stays.
        stamp = new_stamp(snapshot) if state.status != "proven" else None
        state = self._context.states.prove(
            state,
            snapshot,
            proof.plan.actual if fully else self._lake.count_rows(snapshot) - proof.refused,
            stamp=stamp,
            fully=fully,
            run_id=self._context.run_id,
            now=datetime.now(UTC),
            facts={
                "rows_written": str(written + deleted),
                "seconds": f"{elapsed:.3f}",
                "allowed_deletes": str(allow_delete),
            },
        )
        if stamp is not None:
            self._target.mark(state.identity, stamp)
        return SyncReport(state, decision.mode, decision.reason, written, deleted, elapsed, proof)

    def rows(
        self,
        model_version: str,
        snapshot: Snapshot,
        *,
        ids: pa.Table | None = None,
        batch_rows: int = SYNC_ROWS,
    ) -> Iterator[pa.RecordBatch]:
        """Rows to write, in the order that takes the backend few requests.

        Raises:
            SnapshotIncomplete: Some chunks have no vector. It is raised here, so before a write.
        """
        apart = self._target.tenants_apart
        rows = self._lake.index_rows(
            model_version,
            snapshot,
            ids=ids,
            batch_rows=batch_rows,
            by_tenant=apart
            and (ids is not None or len(self._lake.count_tenants(snapshot)) > FEW_TENANTS),
        )
        first = next(rows, None)
        return rows if first is None else chain([first], rows)

    def open(
        self, state: GenerationState, snapshot: Snapshot, *, create: bool = False
    ) -> GenerationState:
        """Begin a session of writing towards a snapshot (`Ownership.open`)."""
        return self._context.ownership.open(
            state, snapshot, create=create, run_id=self._context.run_id, now=datetime.now(UTC)
        )

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
            max_share=self._context.max_delete_share,
            allowed=allow_delete,
        )
