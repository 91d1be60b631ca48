"""Reconciling a request: end it, examine it, release it, or say what it waits for.

Belongs here: the order of those steps, and what a run after a crash does.

The order is what makes a kill at any line harmless. The pointer moves in one commit that carries
the request's id, so a later call sees that it has moved and only writes down what is missing.
Reconciling a request that has ended changes nothing.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

from vector_platform.errors import VectorPlatformError
from vector_platform.indexes.contract import Mirrored, NotOurs, with_lacking
from vector_platform.indexes.state import GenerationState
from vector_platform.lake.decisions import What
from vector_platform.releases.evaluation.evidence import Evidence
from vector_platform.releases.evaluation.measuring import change_of
from vector_platform.releases.gates.gates import GateReport, judge
from vector_platform.releases.pointer.cutover import ReleaseShrinks
from vector_platform.releases.pointer.live import rolled_back
from vector_platform.releases.requests.evidence_collector import EvidenceCollector
from vector_platform.releases.requests.policy import shut_gates, stands_in_the_way, state_of
from vector_platform.releases.requests.requests import ReleaseRequest
from vector_platform.releases.requests.store import PLATFORM, RequestStore

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Reconciled:
    """Where a request stands after everything that can be done for it now has been done.

    Attributes:
        request: The request.
        report: The newest report of its gates; None when it ended without one.
        moved: Whether this call moved the pointer.
        mirrored: How far the backend's aliases followed that move; None when nobody looked.
        refused: Whether a gate is shut, so that nobody's approval would release it.
    """

    request: ReleaseRequest
    report: GateReport | None
    moved: bool
    mirrored: Mirrored | None = None
    refused: bool = False

    def facts(self) -> dict[str, Any]:
        """Where it stands, for machines."""
        return {
            "request": self.request.request_id,
            "state": self.request.state,
            "moved": self.moved,
            "waits": self.request.open,
            "refused": self.refused,
            "summary": self.describe(),
        }

    def describe(self) -> str:
        """One line for people."""
        asked = self.request
        what = f"{asked.request_id} ({asked.model_version} {asked.generation})"
        if asked.open:
            show = f"`vector-platform release show {asked.request_id}`"
            return f"{what} waits: {asked.waits_for}; {show} has the report of its gates"
        told = f"{what} is {asked.state}" + (f": {asked.waits_for}" if asked.waits_for else "")
        return with_lacking(told, self.mirrored)


class Reconciliation:
    """Reconciles the requests of one index on one backend."""

    def __init__(self, store: RequestStore) -> None:
        self._context = store.context
        self._store = store
        self._collector = EvidenceCollector(store.context)

    def reconcile(self, request_id: str) -> Reconciled:
        """Do for a request all that can be done now; raises as `ReleaseService.reconcile` says."""
        self.mend_mirror()
        with self._store.exclusively():
            request = self._store.get(request_id)
            ended = self._ended(request)
        if ended is not None:
            return ended
        reconciled = self._turn_back(request) if request.leaves else self._release(request)
        if reconciled.moved:
            self._context.cutover.tidy_up_quietly()
            reconciled = replace(reconciled, mirrored=self._context.pointer.mirrored)
        return reconciled

    def mend_mirror(self) -> None:
        """Make the backend's aliases follow the pointer, if somebody was kept from doing that.

        Raises:
            NotOurs: The index is another lake's, or was written by another history of this one.
        """
        try:
            self._context.cutover.mirror()
        except VectorPlatformError as error:
            if isinstance(error, NotOurs):
                # Is it the index, or one alias in other hands? The former has nothing to release.
                self._context.sync.ownership.require()
            # What readers of ours see is decided by the pointer alone.
            logger.warning("%s: its aliases may be behind: %s", self._context.target.backend, error)

    # -- a release --------------------------------------------------------------------------

    def _release(self, request: ReleaseRequest) -> Reconciled:
        evidence, request = self._current_evidence(request)
        rows = self._context.sync.locks.writing(request.generation)
        # First the rows, for which one may have to wait, then the books, for which others would.
        with rows.held(), self._store.exclusively():
            return self._ended(request) or self._cut_over_if_nothing_is_in_the_way(
                request, evidence
            )

    def _ended(self, request: ReleaseRequest) -> Reconciled | None:
        return self._finish(request) or self._out_of_date(request)

    def _out_of_date(self, request: ReleaseRequest) -> Reconciled | None:
        """End a request that can no longer be released, or not by who asked."""
        taken_back = rolled_back(self._context.pointer.history()).get(request.generation)
        if request.automatic and taken_back is not None and not request.leaves:
            why = f"{request.generation} was rolled back ({taken_back}); a person may release it"
            return self._end(request, "reject", PLATFORM, why)
        live = self._context.pointer.live()
        if live is not None and live.generation == request.generation:
            return self._end(request, "withdraw", PLATFORM, "it is live already")
        if request.leaves and live is not None and live.generation != request.leaves:
            why = f"{live.generation} has been released since"
            return self._end(request, "withdraw", PLATFORM, why)
        if request.generation not in {s.generation for s in self._context.sync.states.present()}:
            why = f"{request.generation} has been dropped: build another one"
            return self._end(request, "withdraw", PLATFORM, why)
        if self._context.clock() > request.requested_at + timedelta(
            days=self._context.policy.request_days
        ):
            why = f"not released within {self._context.policy.request_days} days"
            return self._end(request, "expire", PLATFORM, why)
        return None

    def _cut_over_if_nothing_is_in_the_way(
        self, request: ReleaseRequest, evidence: Evidence
    ) -> Reconciled:
        state = self._state(request)
        live = self._live_state()
        report = judge(evidence, self._context.policy, moment=self._context.clock())
        change = change_of(state, live)
        standing = self._store.standing(request)
        reasons = stands_in_the_way(change, report, standing, self._context.policy)
        if not self._collector.is_fresh(evidence, live):
            reasons.append("the lake or the live generation moved on; it is measured again")
        if reasons:
            now_is = state_of(change, report, standing, self._context.policy)
            return Reconciled(
                self._store.mark(request, now_is, "; ".join(reasons)),
                report,
                moved=False,
                refused=bool(shut_gates(report, standing)),
            )
        self._context.cutover.move(
            state,
            actor=request.requester,
            reason=request.reason,
            evidence={
                "request": request.request_id,
                "gates": request.evidence_id,
                "approvals": list(standing.approvals),
                "overrides": {what: list(who) for what, who in standing.overrides.items()},
            },
            run_id=self._context.run_id,
            allow_shrink="shrink" in standing.overrides,
        )
        return self._moved(request, report)

    def _moved(self, request: ReleaseRequest, report: GateReport | None) -> Reconciled:
        finished = self._finish(request)
        assert finished is not None
        return replace(finished, report=report, moved=True)

    # -- a rollback -------------------------------------------------------------------------

    def _turn_back(self, request: ReleaseRequest) -> Reconciled:
        """Make an earlier generation live again. No gate is asked: it has been live before."""
        assert request.leaves is not None
        with self._context.sync.locks.writing(request.generation).held():
            shrink = "shrink" in self._store.standing(request).overrides
            try:
                # Before the books are locked: a generation may be far behind the lake.
                state = self._context.cutover.catch_up(self._state(request), allow_shrink=shrink)
            except ReleaseShrinks as error:
                self._store.mark(request, "requested", str(error))
                raise
            with self._store.exclusively():
                ended = self._ended(request)
                if ended is not None:
                    return ended
                self._context.cutover.move(
                    state,
                    actor=request.requester,
                    reason=request.reason,
                    evidence={"request": request.request_id, "rolled_back": request.leaves},
                    run_id=self._context.run_id,
                    allow_shrink=shrink,
                    deciding=lambda: self._decide_to_turn_back(request),
                )
                return self._moved(request, None)

    def _decide_to_turn_back(self, request: ReleaseRequest) -> None:
        place = f"{request.backend}/{request.index}/{request.leaves}"
        asked = self._store.decisions.about(request.request_id, what="request")
        self._store.decisions.record(
            "return" if request.automatic else "rollback",
            place,
            actor=request.requester,
            why=request.reason,
            evidence=[one for decision in asked for one in decision.evidence],
            before=request.leaves,
            after=request.generation,
        )

    # -- both -------------------------------------------------------------------------------

    def _finish(self, request: ReleaseRequest) -> Reconciled | None:
        """Bring the record of a request that has ended up to date; None while it is open.

        The pointer's own history is asked first: a run that died after the cut-over has released
        the request, whether or not it lived to say so.
        """
        release = self._context.pointer.release_of(request.request_id)
        if release is None:
            end = self._store.standing(request).end
            return (
                None
                if end is None
                else Reconciled(self._store.mark(request, end), None, moved=False)
            )
        if all(d.what != "release" for d in self._store.decisions.about(request.request_id)):
            self._store.decide(
                "release",
                request,
                release.actor,
                release.reason,
                before=release.previous_generation,
                after=release.generation,
            )
        return Reconciled(self._store.mark(request, "released"), None, moved=False)

    def _current_evidence(self, request: ReleaseRequest) -> tuple[Evidence, ReleaseRequest]:
        """The evidence of a request, measured again when the world has moved on."""
        known = self._collector.kept(request)
        live = self._live_state()
        if known is not None and self._collector.is_fresh(known, live):
            return known, request
        allow_shrink = "shrink" in self._store.standing(request).overrides
        try:
            found = self._collector.examine(
                request, self._state(request), live, known=known, allow_shrink=allow_shrink
            )
        except ReleaseShrinks as error:
            self._store.mark(request, "requested", str(error))
            raise
        with self._store.exclusively():
            self._reopen_if_unsure(request, found.unsure)
            saved = replace(
                self._store.get(request.request_id),
                evidence_id=found.evidence_id,
                updated_at=found.examined_at,
            )
            return found.evidence, self._store.requests.save(saved)

    def _reopen_if_unsure(self, request: ReleaseRequest, unsure: Sequence[str]) -> None:
        """Approvals were given to what the gates said; a gate that cannot tell any more was not."""
        standing = self._store.standing(request)
        if unsure and (standing.approvals or "undecided" in standing.overrides):
            why = f"measured again: {', '.join(unsure)} undecided now; earlier approvals are void"
            self._store.decide("reopen", request, PLATFORM, why)

    def _end(self, request: ReleaseRequest, what: What, actor: str, reason: str) -> Reconciled:
        return Reconciled(self._store.end(request, what, actor, reason), None, moved=False)

    def _state(self, request: ReleaseRequest) -> GenerationState:
        return next(
            s for s in self._context.sync.states.all() if s.generation == request.generation
        )

    def _live_state(self) -> GenerationState | None:
        return self._context.pointer.live_generation() if self._context.pointer.live() else None
