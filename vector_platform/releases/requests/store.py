"""The books of a release service: its requests, and the decisions that say where they stand.

Belongs here: reading and writing both tables for one index, so that row and decisions agree after
a kill at any line, and keeping a second decider out.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace

from vector_platform.indexes.lock import IndexLocks
from vector_platform.indexes.state import GenerationState
from vector_platform.lake.decisions import Clock, Decision, Decisions, What
from vector_platform.lake.lake import Lake
from vector_platform.releases.requests.policy import (
    MayNotDecide,
    Override,
    Standing,
    State,
    may_override,
    standing_of,
)
from vector_platform.releases.requests.requests import OPEN, ReleaseRequest, ReleaseRequests
from vector_platform.settings import Releases

# Who decides when nobody does: an expiry, a request that lost its generation.
PLATFORM = "platform"
# What is done under the lock takes moments: votes, and the commit that moves the pointer.
LOCK_SECONDS = 60


class RequestStore:
    """Requests and decisions of one index on one backend.

    Args:
        lake: Where they are.
        backend: Backend.
        index: Logical index.
        policy: Who has a say.
        locks: Among them the one that keeps two deciders of one request apart.
        run_id: Recorded with everything.
        clock: When it is.
    """

    def __init__(
        self,
        lake: Lake,
        backend: str,
        index: str,
        *,
        policy: Releases,
        locks: IndexLocks,
        run_id: str,
        clock: Clock,
    ) -> None:
        self.requests = ReleaseRequests(lake)
        self.decisions = Decisions(lake, run_id=run_id, clock=clock)
        self._backend = backend
        self._index = index
        self._policy = policy
        self._run_id = run_id
        self._clock = clock
        self._locks = locks

    @contextmanager
    def exclusively(self) -> Iterator[None]:
        """Keep every other decider out for a block.

        Raises:
            SyncInProgress: Somebody else is still at it after a while.
        """
        with self._locks.books.held(wait_seconds=LOCK_SECONDS):
            yield

    # -- requests ---------------------------------------------------------------------------

    def get(self, request_id: str) -> ReleaseRequest:
        """One request of this index.

        Raises:
            UnknownRequest: There is none of this id.
            MayNotDecide: It is about another index.
        """
        request = self.requests.get(request_id)
        if (request.backend, request.index) != (self._backend, self._index):
            raise MayNotDecide(f"{request_id} is about {request.backend} {request.index}")
        return request

    def open(self) -> list[ReleaseRequest]:
        """Open requests of this index, oldest first."""
        return self.requests.all(
            ("backend", "==", self._backend), ("index", "==", self._index), ("state", "in", OPEN)
        )

    def of(self, generation: str) -> list[ReleaseRequest]:
        """Every request for a generation, oldest first."""
        return self.requests.all(
            ("backend", "==", self._backend),
            ("index", "==", self._index),
            ("generation", "==", generation),
        )

    def draft(
        self,
        state: GenerationState,
        *,
        actor: str,
        reason: str,
        automatic: bool,
        whole: str | None = None,
        leaves: str | None = None,
    ) -> ReleaseRequest:
        """A new request, or a new part of one; not stored yet."""
        return ReleaseRequest.new(
            whole=whole,
            backend=self._backend,
            index=self._index,
            generation=state.generation,
            model_version=state.model_version,
            requester=actor,
            automatic=automatic,
            reason=reason,
            run_id=self._run_id,
            requested_at=self._clock(),
            leaves=leaves,
        )

    def register(
        self, request: ReleaseRequest, *, before: str | None, evidence_ids: Sequence[str]
    ) -> None:
        """Record that it was asked for, unless that is on record."""
        if any(d.what == "request" for d in self.decisions.about(request.request_id)):
            return
        self.decisions.record(
            "request",
            request.request_id,
            actor=request.requester,
            why=request.reason,
            evidence=evidence_ids,
            before=before,
            after=request.generation,
        )

    def mark(
        self, request: ReleaseRequest, state: State, waits_for: str | None = None
    ) -> ReleaseRequest:
        """Repeat in the row what the decisions add up to, if it does not say so yet.

        Args:
            request: The request.
            state: Where it stands.
            waits_for: What is in its way, or why it ended. None: what the row of a request that
                has ended says already, and nothing for one that ends now.
        """
        said = request.waits_for if waits_for is None and not request.open else waits_for or ""
        if (request.state, request.waits_for) == (state, said):
            return request
        return self.requests.save(
            replace(request, state=state, waits_for=said, updated_at=self._clock())
        )

    # -- decisions --------------------------------------------------------------------------

    def standing(self, request: ReleaseRequest) -> Standing:
        """What the decisions about a request add up to."""
        decisions = self.decisions.about(request.request_id)
        return standing_of(request.requester, decisions, self._policy, automatic=request.automatic)

    def decide(
        self,
        what: What,
        request: ReleaseRequest,
        actor: str,
        why: str,
        *,
        before: str | None = None,
        after: str | None = None,
    ) -> Decision:
        """Record a decision about a request, with the evidence it has."""
        return self.decisions.record(
            what,
            request.request_id,
            actor=actor,
            why=why,
            evidence=[request.evidence_id] if request.evidence_id else [],
            before=before,
            after=after,
        )

    def end(self, request: ReleaseRequest, what: What, actor: str, reason: str) -> ReleaseRequest:
        """End a request by a decision."""
        self.decide(what, request, actor, reason)
        end = self.standing(request).end
        assert end is not None
        return self.mark(request, end, reason)

    def override(self, request: ReleaseRequest, what: Override, actor: str, why: str) -> None:
        """Record that something is set aside, unless that is on record."""
        if self.standing(request).overrides.get(what) != (actor, why):
            self.decide("override", request, actor, why, after=what)

    def check_override(self, what: Override, actor: str, requester: str) -> None:
        """Refuse an override by somebody without a say.

        Raises:
            MayNotDecide: The policy does not let this person.
        """
        if not may_override(what, actor, requester, self._policy):
            raise MayNotDecide(
                f"{actor} may not set aside {what!r}: that is for an approver other than the "
                f"requester ({', '.join(self._policy.approvers)})"
            )

    def no_say(self, actor: str, request: ReleaseRequest) -> str:
        """Why somebody's word about a request does not count."""
        if actor == request.requester:
            return (
                f"{actor} asked for {request.request_id}, and nobody approves their own request"
                + ("" if self._policy.approvers else ": `release promote` releases it")
            )
        return f"{actor} is not one of the approvers ({', '.join(self._policy.approvers)})"
