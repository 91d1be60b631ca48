"""The release service of one index: where people and sensors ask, decide, and go back.

Belongs here: taking a request, a vote, an override, each from somebody who has a say.

A kill at any line is harmless: a vote is one appended decision, and asking or voting again finds
what has been written down. Every vote is followed by reconciliation, which finishes what it can.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Unpack

from vector_platform.errors import TerminalError, VectorPlatformError
from vector_platform.indexes.state import GenerationState
from vector_platform.lake.decisions import What
from vector_platform.releases.evaluation.context import ReleaseContext
from vector_platform.releases.pointer.cutover import ReleaseShrinks
from vector_platform.releases.requests.asking import Asked, Asking, ask_together
from vector_platform.releases.requests.policy import MayNotDecide, Override, may_approve
from vector_platform.releases.requests.reconciliation import Reconciled, Reconciliation
from vector_platform.releases.requests.requests import ReleaseRequest
from vector_platform.releases.requests.store import RequestStore


class RequestEnded(TerminalError):
    """A decision about a request that has already ended otherwise."""


class ReleaseService:
    """The service of one index on one backend.

    Attributes:
        context: What it works with.
        store: Its requests, and the decisions about them.
    """

    def __init__(self, context: ReleaseContext) -> None:
        self.context = context
        self.store = RequestStore(context)
        self._policy = context.policy
        self._reconciliation = Reconciliation(self.store)

    # -- asking -----------------------------------------------------------------------------

    def request(self, state: GenerationState, **by: Unpack[Asking]) -> ReleaseRequest:
        """Ask for a generation to go live. Asking again for the same one gives the same request.

        An older open request for the same model is withdrawn: its generation is out of date. A
        sensor's request for a generation that was rolled back is rejected when it is reconciled.

        Args:
            state: The generation.
            **by: Who asks, and why.

        Raises:
            AlreadyLive: It is live.
            MayNotDecide: The asker may not set that aside.
        """
        (request,) = ask_together([Asked(self.store, state)], **by)
        return request

    def release(self, state: GenerationState, **by: Unpack[Asking]) -> Reconciled:
        """Ask, and reconcile at once: what the policy lets through is live afterwards."""
        return self.reconcile(self.request(state, **by).request_id)

    # -- deciding ---------------------------------------------------------------------------

    def approve(self, request_id: str, *, actor: str, reason: str) -> Reconciled:
        """Approve a request and release it if that is all it waited for.

        Approving twice, or approving what has been released, changes nothing.

        Raises:
            MayNotDecide: The requester, or somebody who is not named as approver.
            RequestEnded: It was rejected or withdrawn, or has expired.
        """
        with self.store.exclusively():
            request = self.store.get(request_id)
            if not may_approve(actor, request.requester, self._policy):
                raise MayNotDecide(self.store.no_say(actor, request))
            standing = self.store.standing(request)
            if standing.end not in (None, "released"):
                raise RequestEnded(f"{request_id} is {standing.end}: ask for the release again")
            if standing.end is None and actor not in standing.approvals:
                self.store.decide("approve", request, actor, reason, after=request.generation)
        return self.reconcile(request_id)

    def reject(self, request_id: str, *, actor: str, reason: str) -> Reconciled:
        """End a request. The requester withdraws it; anybody else with a say rejects it.

        Raises:
            MayNotDecide: Somebody who is not named as approver.
            RequestEnded: It has been released, or has expired.
        """
        with self.store.exclusively():
            request = self.store.get(request_id)
            own = actor == request.requester
            if not own and not may_approve(actor, request.requester, self._policy):
                raise MayNotDecide(self.store.no_say(actor, request))
            end = self.store.standing(request).end
            if end in ("released", "expired"):
                raise RequestEnded(f"{request_id} is {end}")
            if end is None:
                what: What = "withdraw" if own else "reject"
                request = self.store.end(request, what, actor, reason)
        return Reconciled(request, None, moved=False)

    def override(self, request_id: str, what: Override, *, actor: str, reason: str) -> None:
        """Set something aside for one request, with a reason that is kept.

        Raises:
            MayNotDecide: The policy does not let this person.
        """
        with self.store.exclusively():
            request = self.store.get(request_id)
            self.store.check_override(what, actor, request.requester)
            self.store.override(request, what, actor, reason)

    # -- reconciliation ---------------------------------------------------------------------

    def reconcile_open(self) -> list[Reconciled]:
        """Reconcile every open request of this index, oldest first, and mend its aliases."""
        self.mend_mirror()
        reconciled = []
        for request in self.store.open():
            try:
                reconciled.append(self.reconcile(request.request_id))
            except ReleaseShrinks:
                # Written down in the request; it is no reason to let the others wait.
                reconciled.append(Reconciled(self.store.get(request.request_id), None, moved=False))
        return reconciled

    def reconcile(self, request_id: str) -> Reconciled:
        """Expire, measure or release a request, or say what it waits for.

        Calling it again changes nothing until something else has changed.

        Raises:
            MeasurementFailed: The backend did not answer; nothing was decided.
            NotOurs: The index is another lake's, or was written by another history of this one.
            ReleaseShrinks: Readers would lose too many rows; the request waits.
            SyncInProgress: Somebody is writing the index.
        """
        return self._reconciliation.reconcile(request_id)

    def mend_mirror(self) -> None:
        """Make the backend's aliases follow the pointer, if somebody was kept from doing that.

        Raises:
            NotOurs: The index is another lake's, or was written by another history of this one.
        """
        self._reconciliation.mend_mirror()


def reconcile_together(
    services: Sequence[ReleaseService],
    asked: Sequence[ReleaseRequest],
    *,
    completing: Sequence[Callable[[], None]] = (),
) -> list[Reconciled]:
    """Reconcile the parts of a request, each at its service.

    A part that fails keeps no other one from being reconciled; its error is raised afterwards.

    Args:
        services: Of the backends.
        asked: The parts there are.
        completing: What is left to do on backends of which nothing had to be asked.
    """
    by_backend = {service.context.backend: service for service in services}
    reconciled: list[Reconciled] = []
    failures: list[VectorPlatformError] = []
    for complete in completing:
        try:
            complete()
        except VectorPlatformError as error:
            failures.append(error)
    for request in asked:
        try:
            reconciled.append(by_backend[request.backend].reconcile(request.request_id))
        except VectorPlatformError as error:
            failures.append(error)
    if failures:
        raise failures[0]
    return reconciled
