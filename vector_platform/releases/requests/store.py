"""The books of a release service: its requests, and the decisions that say where they stand.

Belongs here: reading and writing both tables for one index, so that row and decisions agree after
a kill at any line, and keeping a second decider out.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace

from vector_platform.indexes.state import GenerationState
from vector_platform.lake.decisions import Decision, Decisions, What
from vector_platform.releases.evaluation.context import ReleaseContext
from vector_platform.releases.requests.policy import (
    MayNotDecide,
    Override,
    Standing,
    State,
    may_override,
    standing_of,
)
from vector_platform.releases.requests.requests import OPEN, ReleaseRequest, ReleaseRequests

# Who decides when nobody does: an expiry, a request that lost its generation.
PLATFORM = "platform"
# What is done under the lock takes moments: votes, and the commit that moves the pointer.
LOCK_SECONDS = 60


class RequestStore:
    """Requests and decisions of one index on one backend."""

    def __init__(self, context: ReleaseContext) -> None:
        self.context = context
        self.requests = ReleaseRequests(context.lake)
        self.decisions = Decisions(context.lake, run_id=context.run_id, clock=context.clock)
        self._policy = context.policy

    @contextmanager
    def exclusively(self) -> Iterator[None]:
        """Keep every other decider out for a block.

        Raises:
            SyncInProgress: Somebody else is still at it after a while.
        """
        with self.context.sync.locks.books.held(wait_seconds=LOCK_SECONDS):
            yield

    # -- requests ---------------------------------------------------------------------------

    def get(self, request_id: str) -> ReleaseRequest:
        """One request of this index.

        Raises:
            UnknownRequest: There is none of this id.
            MayNotDecide: It is about another index.
        """
        request = self.requests.get(request_id)
        if (request.backend, request.index) != (self.context.backend, self.context.index):
            raise MayNotDecide(f"{request_id} is about {request.backend} {request.index}")
        return request

    def open(self) -> list[ReleaseRequest]:
        """Open requests of this index, oldest first."""
        return self.requests.all(
            ("backend", "==", self.context.backend),
            ("index", "==", self.context.index),
            ("state", "in", OPEN),
        )

    def of(self, generation: str) -> list[ReleaseRequest]:
        """Every request for a generation, oldest first."""
        return self.requests.all(
            ("backend", "==", self.context.backend),
            ("index", "==", self.context.index),
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
            backend=self.context.backend,
            index=self.context.index,
            generation=state.generation,
            model_version=state.model_version,
            requester=actor,
            automatic=automatic,
            reason=reason,
            run_id=self.context.run_id,
            requested_at=self.context.clock(),
            leaves=leaves,
        )

    def find(
        self, state: GenerationState, *, automatic: bool, leaves: str | None
    ) -> ReleaseRequest | None:
        """The open request for a generation, or the one that a sensor has been refused."""
        for request in reversed(self.of(state.generation)):
            if request.leaves != leaves:
                continue
            end = self.standing(request).end
            if end is None and self.context.pointer.release_of(request.request_id) is None:
                return request
            if end == "rejected" and automatic and request.automatic:
                return request
        return None

    def register(
        self,
        request: ReleaseRequest,
        *,
        actor: str,
        overrides: Mapping[Override, str],
        evidence_ids: Sequence[str],
    ) -> None:
        """Record that a stored request was asked for, and what was set aside for it."""
        if all(d.what != "request" for d in self.decisions.about(request.request_id)):
            live = self.context.pointer.live()
            self.decisions.record(
                "request",
                request.request_id,
                actor=request.requester,
                why=request.reason,
                evidence=evidence_ids,
                before=live.generation if live else None,
                after=request.generation,
            )
        for older in self.open():
            same = older.model_version == request.model_version
            if same and not request.leaves and not older.leaves and older.whole != request.whole:
                self.end(older, "withdraw", PLATFORM, f"superseded by {request.request_id}")
        for what, why in overrides.items():
            self.override(request, what, actor, why)

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
            replace(request, state=state, waits_for=said, updated_at=self.context.clock())
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
