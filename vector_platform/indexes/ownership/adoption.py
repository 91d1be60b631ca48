"""Taking over an index that is not this lake's: what it holds is compared first, then it is marked.

Belongs here: generations that `claims.py` objects to, how far they are from this lake, and making
them its own.

Adopting writes no row and deletes none. It makes the generation one that an earlier run did not
finish: the next sync compares everything, and the guard over deletes counts what is there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from vector_platform.errors import RefusedByPolicy, TerminalError
from vector_platform.indexes.base import VectorIndex
from vector_platform.indexes.contract import Claim
from vector_platform.indexes.ownership.claims import Ownership, new_stamp
from vector_platform.indexes.proof.verification import Verification
from vector_platform.indexes.proof.verify import verify
from vector_platform.indexes.rejected import RejectedRows
from vector_platform.indexes.state import GenerationState, IndexStates
from vector_platform.lake.lake import Lake


class NotAdoptable(TerminalError):
    """A generation that this lake cannot take over, or not without being told so."""


class DifferencesNotAccepted(NotAdoptable, RefusedByPolicy):
    """It differs from this lake in more rows than somebody has accepted."""


@dataclass(frozen=True)
class Proposal:
    """A generation that could be adopted.

    Attributes:
        claim: What the backend says of it.
        state: Our record of it, made up where we have none.
        objection: Why it is not ours.
        proof: How it differs from this lake.
    """

    claim: Claim
    state: GenerationState
    objection: str
    proof: Verification

    @property
    def differences(self) -> int:
        """Rows that a sync would have to write or delete, as far as the proof has read."""
        plan = self.proof.plan
        written = set(plan.upserts.column("id").to_pylist())
        altered = sum(row_id not in written for row_id in self.proof.rows_differing)
        return len(written) + int(plan.deletes.num_rows) + plan.duplicated + altered

    def describe(self) -> str:
        """What it is and how it differs, in lines."""
        theirs, plan = self.claim.generation, self.proof.plan
        name = f"{self.state.backend} {theirs.model_version} {theirs.name}"
        lines = [
            f"{name} {self.objection.partition('. ')[0]}",
            f"  against {self.proof.snapshot} of this lake: {self.proof.describe()}",
        ]
        lines += [
            f"  {kind.replace('_', ' ')}: {', '.join(rows)}"
            for kind, rows in plan.samples().items()
            if rows
        ]
        return "\n".join(lines)


class Adopter:
    """Adopts the generations of one index on one backend.

    Args:
        lake: Whose they are to be.
        target: The backend.
        states: Our records.
        spec: How the backend builds indexes; recorded with a generation that we have no record of.
        run_id: Recorded with every change of state.
    """

    def __init__(
        self, lake: Lake, target: VectorIndex, states: IndexStates, *, spec: str, run_id: str
    ) -> None:
        self._lake = lake
        self._target = target
        self._states = states
        self._spec = spec
        self._run_id = run_id

    def proposals(self, now: datetime) -> list[Proposal]:
        """Everything of the index that is not ours, read and compared with the lake.

        Raises:
            UnknownModelVersion: It was made with a model that this lake has no vectors of.
            NotAdoptable: It was made with another model than our record of it says.
        """
        known = {state.generation: state for state in self._states.all()}
        found = []
        for claim, objection in Ownership(self._states, self._target).looked_at():
            if objection is None:
                continue
            state = known.get(claim.generation.name) or self._imagined(claim, now)
            theirs = claim.generation
            if (state.model_version, state.dimension) != (theirs.model_version, theirs.dimension):
                raise NotAdoptable(
                    f"{self._target.backend} {theirs.index} {theirs.name} holds "
                    f"{theirs.model_version}, and this lake's records say {state.model_version}: "
                    "remove it by hand, or give the index another name (indexes.name)"
                )
            snapshot = state.snapshot or self._lake.snapshot()
            excused = RejectedRows(self._lake, state).held()
            proof = verify(self._lake, self._target, theirs, snapshot, excused=excused)
            found.append(Proposal(claim, state, objection, proof))
        return found

    def require_accepted(self, proposals: Sequence[Proposal], accept_differences: int) -> None:
        """See that generations differ in no more rows than a person has seen and accepts.

        Raises:
            DifferencesNotAccepted: They do. Nothing has been changed.
        """
        differences = sum(proposal.differences for proposal in proposals)
        if differences > accept_differences:
            raise DifferencesNotAccepted(
                f"{self._target.backend} {self._states.index} differs from this lake in "
                f"{differences} rows, which the next sync would write or delete. Nothing has been "
                f"changed. If they are to follow this lake: --accept-differences {differences}"
            )

    def adopt(self, proposals: Sequence[Proposal], *, now: datetime) -> list[GenerationState]:
        """Make them this lake's: in its records first, then on the backend.

        All of them, because one index is one lake's.
        """
        adopted = []
        for proposal in proposals:
            stamp = new_stamp(proposal.proof.snapshot)
            borne = [proposal.claim.stamp] if proposal.claim.stamp else []
            adopted.append(
                self._states.mark_syncing(
                    proposal.state, [*borne, stamp], run_id=self._run_id, now=now
                )
            )
        for state in adopted:
            self._target.mark(replace(state.identity, lake=self._states.lake), state.stamps[-1])
        return adopted

    def _imagined(self, claim: Claim, now: datetime) -> GenerationState:
        """What we would have recorded of a generation that another lake has made."""
        model = self._lake.model_version(claim.generation.model_version)
        return GenerationState(
            backend=self._target.backend,
            index=claim.generation.index,
            generation=claim.generation.name,
            model_version=model.name,
            fingerprint=model.fingerprint,
            dimension=model.dimension,
            status="syncing",
            snapshot=None,
            rows=0,
            spec=self._spec,
            run_id=self._run_id,
            created_at=now,
            updated_at=now,
        )
