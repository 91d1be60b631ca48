"""Which proof a generation needs, and taking it: of what a sync touched, or of everything.

Belongs here: the choice between the two, the rows that a proof excuses, and whose turn it is to
have digests read.

A sync of changes verifies what it touched and looks for what it did not intend; all of the index
when anything surprises, when that was last done long ago, or when anything else has been done. So
the price of a change follows the change, and damage behind the platform's back is found within a
set time even if nobody asks. Where a row differs in what its
digest does not tell, nobody knows how many do: then all are read whole.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pyarrow as pa

from vector_platform.indexes.proof.row_sample import SAMPLED_ROWS, whole_share
from vector_platform.indexes.proof.verification import Verification
from vector_platform.indexes.proof.verify import verify, verify_changes
from vector_platform.indexes.proof_sample import EVERY_DIGEST, DigestTurns, ProofSample
from vector_platform.indexes.rejected import RejectedRows
from vector_platform.indexes.state import GenerationState
from vector_platform.indexes.sync.context import SyncContext
from vector_platform.indexes.sync.decision import Decision
from vector_platform.lake.snapshots import Snapshot

# Rows a proof looks at beside what it has to, however small the share of digests it reads.
FEWEST_SAMPLED = 64


class Prover:
    """Proves generations of one backend equal to the lake, or finds where they differ."""

    def __init__(self, context: SyncContext) -> None:
        self._lake, self._target = context.lake, context.target
        self._full_proof_age = timedelta(hours=context.full_proof_hours)
        self._fetch_share, self._run_id = context.verify_fetch_share, context.run_id

    def full_is_due(self, state: GenerationState) -> bool:
        """Whether all of a generation was last read back too long ago."""
        last = state.fully_proven_at
        return last is None or datetime.now(UTC) - last >= self._full_proof_age

    def after(self, state: GenerationState, decision: Decision) -> Verification:
        """The proof that has to be taken after a decision has been carried out."""
        proof = None
        if decision.changes is not None and not self.full_is_due(state):
            proof = self._of_changes(state, decision.snapshot, *decision.changes)
        if proof is None or not proof.clean:
            # Where anything is wrong, or everything was compared to begin with, all is read; whole,
            # where a row is known to differ in what only that shows.
            routine = proof is None and decision.mode != "full"
            every_row = decision.every_row or (proof is not None and bool(proof.rows_differing))
            proof = self.read_all(
                state,
                decision.snapshot,
                share=None if routine else 1.0,
                every_row=every_row,
            )
            if proof.rows_differing and not every_row:
                proof = self.read_all(state, decision.snapshot, share=1.0, every_row=True)
        return proof

    def read_all(
        self,
        state: GenerationState,
        snapshot: Snapshot,
        *,
        share: float | None = None,
        every_row: bool = False,
    ) -> Verification:
        """Read all ids back and compare them with a snapshot.

        Args:
            state: The generation.
            snapshot: What it is to be equal to.
            share: Share of the digests to read; default what a routine proof reads.
            every_row: Read all rows whole, not those whose turn it is and some others.
        """
        turns = DigestTurns(self._lake, state)
        turn = turns.next()
        digests = ProofSample(self._fetch_share if share is None else share, turn)
        whole = EVERY_DIGEST
        if not every_row:
            rows = self._lake.count_rows(snapshot)
            whole = ProofSample(whole_share(rows, fetch_share=self._fetch_share), turn)
        proof = verify(
            self._lake,
            self._target,
            state.identity,
            snapshot,
            excused=RejectedRows(self._lake, state).held(),
            sample=digests,
            seed=self._seed(snapshot),
            whole=whole,
            others=self._sampled_rows,
        )
        turns.taken(
            digests,
            whole,
            snapshot,
            compared=proof.plan.digests_read,
            differing=proof.plan.upserts.num_rows
            + proof.plan.deletes.num_rows
            + len(proof.rows_differing),
            run_id=self._run_id,
            now=datetime.now(UTC),
        )
        return proof

    def _of_changes(
        self, state: GenerationState, snapshot: Snapshot, now: pa.Table, before: pa.Table
    ) -> Verification:
        return verify_changes(
            self._lake,
            self._target,
            state.identity,
            snapshot,
            now=now,
            before=before,
            excused=RejectedRows(self._lake, state).held(),
            seed=self._seed(snapshot),
            others=self._sampled_rows,
        )

    def _seed(self, snapshot: Snapshot) -> str:
        """Another sample for every snapshot, and for every run that proves the same one."""
        return f"{snapshot}/{self._run_id}"

    @property
    def _sampled_rows(self) -> int:
        """Fewer where a person has said that reading costs."""
        return max(FEWEST_SAMPLED, round(SAMPLED_ROWS * self._fetch_share))
