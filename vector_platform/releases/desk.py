"""The release desk of one index: takes requests, keeps their gates current, moves the pointer.

Belongs here: the order of the steps, and what a run after a crash does. Does not belong here:
what a gate or a policy says (`gates.py`, `policy.py`), or the pointer itself (`pointer.py`).

The order is what makes a kill at any line harmless. A vote is one appended decision. The pointer
moves in one commit that carries the request's id, so a later call sees that it has moved and
only writes down what is missing. Settling a request that has ended changes nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path

from filelock import FileLock, Timeout

from vector_platform.errors import TerminalError
from vector_platform.indexes.base import VectorIndex
from vector_platform.indexes.lock import SyncInProgress
from vector_platform.indexes.state import GenerationState
from vector_platform.indexes.sync import IndexSync
from vector_platform.lake.lake import Lake
from vector_platform.releases.decisions import Clock, What, utc_now
from vector_platform.releases.evaluations import keep_report, kept_evidence
from vector_platform.releases.evidence import Evidence
from vector_platform.releases.flip import ReleaseShrinks, catch_up, release_generation, roll_back
from vector_platform.releases.gates import GateReport, judge
from vector_platform.releases.ledger import Ledger
from vector_platform.releases.measuring import RecallQueries, change_of, chunks_of, collect
from vector_platform.releases.pointer import LivePointer, Release, rolled_back
from vector_platform.releases.policy import (
    MayNotDecide,
    Override,
    may_approve,
    stands_in_the_way,
    state_of,
)
from vector_platform.releases.probes import Probes
from vector_platform.releases.requests import ReleaseRequest
from vector_platform.settings import Releases

# Who decides when nobody does: an expiry, a request that lost its generation.
PLATFORM = "platform"
# What is done under the lock takes moments; a flip repeats aliases and drops old generations.
LOCK_SECONDS = 60


class RequestEnded(TerminalError):
    """A decision about a request that has already ended otherwise."""


class AlreadyLive(TerminalError):
    """The generation is what readers see already."""


@dataclass(frozen=True)
class Settled:
    """Where a request stands after everything that can be done for it now has been done.

    Attributes:
        request: The request.
        report: The newest report of its gates; None when it ended without one.
        moved: Whether this call moved the pointer.
    """

    request: ReleaseRequest
    report: GateReport | None
    moved: bool

    def describe(self) -> str:
        """One line for people."""
        asked = self.request
        what = f"{asked.request_id} ({asked.model_version} {asked.generation})"
        if asked.open:
            return f"{what} waits: {asked.waits_for}"
        return f"{what} is {asked.state}" + (f": {asked.waits_for}" if asked.waits_for else "")


class ReleaseDesk:
    """The desk of one index on one backend.

    Args:
        lake: Where requests, decisions and evaluations are.
        pointer: The live pointer.
        target: The backend.
        sync: Its sync.
        index: Logical index.
        policy: Gates' bars and approvals.
        metric: Metric by which models are compared.
        recall_floor: Least recall of a generation.
        recall_queries: Queries that recall is measured with.
        probes: Queries under a model version that latency is compared with.
        lock_dir: Folder of the lock that keeps two deciders of one request apart.
        run_id: Recorded with everything.
        clock: When it is.
    """

    def __init__(
        self,
        lake: Lake,
        pointer: LivePointer,
        target: VectorIndex,
        sync: IndexSync,
        *,
        index: str,
        policy: Releases,
        metric: str,
        recall_floor: float,
        recall_queries: RecallQueries,
        probes: Probes,
        lock_dir: Path,
        run_id: str,
        clock: Clock = utc_now,
    ) -> None:
        self.pointer = pointer
        self.sync = sync
        self.target = target
        self.policy = policy
        self.ledger = Ledger(lake, target.backend, index, policy=policy, run_id=run_id, clock=clock)
        self.probes = probes
        self.lake = lake
        self.metric = metric
        self.recall_floor = recall_floor
        self.recall_queries = recall_queries
        self.index = index
        self.clock = clock
        self.run_id = run_id
        self._lock = lock_dir / f"release-{target.backend}-{index}.lock"

    # -- asking -----------------------------------------------------------------------------

    def request(
        self,
        state: GenerationState,
        *,
        actor: str,
        reason: str,
        automatic: bool = False,
        overrides: Mapping[Override, str] | None = None,
        evidence_ids: tuple[str, ...] = (),
    ) -> ReleaseRequest:
        """Ask for a generation to go live. Asking again for the same one gives the same request.

        An older open request for the same model is withdrawn: its generation is out of date. A
        sensor's request for a generation that was rolled back is rejected when it is settled.

        Args:
            state: The generation.
            actor: Who asks.
            reason: Why.
            automatic: Whether a sensor or a schedule asks, and not a person.
            overrides: What to set aside -> why, see `policy.Override`.
            evidence_ids: Evaluations that led to this request.

        Raises:
            AlreadyLive: It is live.
            MayNotDecide: The asker may not set that aside.
        """
        overrides = overrides or {}
        for what in overrides:
            self.ledger.check_override(what, actor, actor)
        with self._locked():
            live = self.pointer.live()
            if live is not None and live.generation == state.generation:
                raise AlreadyLive(f"{self.target.backend} {state.generation} is live already")
            request = self._find(state, automatic) or self.ledger.add(
                state, actor=actor, reason=reason, automatic=automatic
            )
            self.ledger.register(
                request, before=live.generation if live else None, evidence_ids=evidence_ids
            )
            for older in self.ledger.open():
                if (
                    older.model_version == state.model_version
                    and older.request_id != request.request_id
                ):
                    self._end(older, "withdraw", PLATFORM, f"superseded by {request.request_id}")
            for what, why in overrides.items():
                self.ledger.override(request, what, actor, why)
        return request

    def release(
        self,
        state: GenerationState,
        *,
        actor: str,
        reason: str,
        automatic: bool = False,
        overrides: Mapping[Override, str] | None = None,
        evidence_ids: tuple[str, ...] = (),
    ) -> Settled:
        """Ask, and settle at once: what the policy lets through is live afterwards."""
        request = self.request(
            state,
            actor=actor,
            reason=reason,
            automatic=automatic,
            overrides=overrides,
            evidence_ids=evidence_ids,
        )
        return self.settle(request.request_id)

    # -- deciding ---------------------------------------------------------------------------

    def approve(self, request_id: str, *, actor: str, reason: str) -> Settled:
        """Approve a request and release it if that is all it waited for.

        Approving twice, or approving what has been released, changes nothing.

        Raises:
            MayNotDecide: The requester, or somebody who is not named as approver.
            RequestEnded: It was rejected or withdrawn, or has expired.
        """
        with self._locked():
            request = self.ledger.get(request_id)
            if not may_approve(actor, request.requester, self.policy):
                raise MayNotDecide(self.ledger.no_say(actor, request))
            standing = self.ledger.standing(request)
            if standing.end not in (None, "released"):
                raise RequestEnded(f"{request_id} is {standing.end}: ask for the release again")
            if standing.end is None and actor not in standing.approvals:
                self.ledger.decide("approve", request, actor, reason, after=request.generation)
        return self.settle(request_id)

    def reject(self, request_id: str, *, actor: str, reason: str) -> Settled:
        """End a request. The requester withdraws it; anybody else with a say rejects it.

        Raises:
            MayNotDecide: Somebody who is not named as approver.
            RequestEnded: It has been released, or has expired.
        """
        with self._locked():
            request = self.ledger.get(request_id)
            own = actor == request.requester
            if not own and not may_approve(actor, request.requester, self.policy):
                raise MayNotDecide(self.ledger.no_say(actor, request))
            end = self.ledger.standing(request).end
            if end in ("released", "expired"):
                raise RequestEnded(f"{request_id} is {end}")
            if end is None:
                return self._end(request, "withdraw" if own else "reject", actor, reason)
        return Settled(request, None, moved=False)

    def override(self, request_id: str, what: Override, *, actor: str, reason: str) -> None:
        """Set something aside for one request, with a reason that is kept.

        Raises:
            MayNotDecide: The policy does not let this person.
        """
        with self._locked():
            request = self.ledger.get(request_id)
            self.ledger.check_override(what, actor, request.requester)
            self.ledger.override(request, what, actor, reason)

    # -- settling ---------------------------------------------------------------------------

    def settle_open(self) -> list[Settled]:
        """Settle every open request of this index, oldest first."""
        settled = []
        for request in self.ledger.open():
            try:
                settled.append(self.settle(request.request_id))
            except ReleaseShrinks:
                # Written down in the request; it is no reason to let the others wait.
                settled.append(Settled(self.ledger.get(request.request_id), None, moved=False))
        return settled

    def settle(self, request_id: str) -> Settled:
        """Expire, measure or release a request, or say what it waits for.

        Calling it again changes nothing until something else has changed.

        Raises:
            MeasurementFailed: The backend did not answer; nothing was decided.
            ReleaseShrinks: Readers would lose too many rows; the request waits.
            SyncInProgress: Somebody is writing the index.
        """
        with self._locked():
            request = self.ledger.get(request_id)
            ended = self._finish(request) or self._out_of_date(request)
        if ended is not None:
            return ended
        evidence, request = self._current_evidence(request)
        with self._locked():
            ended = self._finish(request) or self._out_of_date(request)
            return ended or self._flip_if_nothing_is_in_the_way(request, evidence)

    def _out_of_date(self, request: ReleaseRequest) -> Settled | None:
        """End a request that can no longer be released, or not by who asked."""
        taken_back = rolled_back(self.pointer.history()).get(request.generation)
        if request.automatic and taken_back is not None:
            why = f"{request.generation} was rolled back ({taken_back}); a person may release it"
            return self._end(request, "reject", PLATFORM, why)
        live = self.pointer.live()
        if live is not None and live.generation == request.generation:
            return self._end(request, "withdraw", PLATFORM, "it is live already")
        if request.generation not in {s.generation for s in self.sync.states.present()}:
            why = f"{request.generation} has been dropped: build another one"
            return self._end(request, "withdraw", PLATFORM, why)
        if self.clock() > request.requested_at + timedelta(days=self.policy.request_days):
            why = f"not released within {self.policy.request_days} days"
            return self._end(request, "expire", PLATFORM, why)
        return None

    def _flip_if_nothing_is_in_the_way(
        self, request: ReleaseRequest, evidence: Evidence
    ) -> Settled:
        state = self._state(request)
        live = self._live_state()
        report = judge(evidence, self.policy, moment=self.clock())
        change = change_of(state, live)
        standing = self.ledger.standing(request)
        reasons = stands_in_the_way(change, report, standing, self.policy)
        if not self._is_fresh(evidence, live):
            reasons.append("the lake or the live generation moved on; it is measured again")
        if reasons:
            now_is = state_of(change, report, standing, self.policy)
            return Settled(
                self.ledger.mark(request, now_is, "; ".join(reasons)), report, moved=False
            )
        release_generation(
            self.pointer,
            self.target,
            self.sync,
            state,
            actor=request.requester,
            reason=request.reason,
            evidence={
                "request": request.request_id,
                "gates": request.evidence_id,
                "approvals": list(standing.approvals),
                "overrides": {what: list(who) for what, who in standing.overrides.items()},
            },
            run_id=self.run_id,
            allow_shrink="shrink" in standing.overrides,
        )
        finished = self._finish(request)
        assert finished is not None
        return replace(finished, report=report, moved=True)

    def _finish(self, request: ReleaseRequest) -> Settled | None:
        """Bring the record of a request that has ended up to date; None while it is open.

        The pointer's own history is asked first: a run that died after the flip has released
        the request, whether or not it lived to say so.
        """
        release = self.pointer.release_of(request.request_id)
        if release is None:
            end = self.ledger.standing(request).end
            return (
                None if end is None else Settled(self.ledger.mark(request, end), None, moved=False)
            )
        if all(d.what != "release" for d in self.ledger.decisions.about(request.request_id)):
            if self.pointer.live() == release:
                self.pointer.mirror(self.target)
            self.ledger.decide(
                "release",
                request,
                release.actor,
                release.reason,
                before=release.previous_generation,
                after=release.generation,
            )
        return Settled(self.ledger.mark(request, "released"), None, moved=False)

    def _current_evidence(self, request: ReleaseRequest) -> tuple[Evidence, ReleaseRequest]:
        """The evidence of a request, measured again when the world has moved on."""
        known = kept_evidence(self.lake, request.evidence_id)
        live = self._live_state()
        if known is not None and self._is_fresh(known, live):
            return known, request
        allow_shrink = "shrink" in self.ledger.standing(request).overrides
        state = self._state(request)
        try:
            state = catch_up(self.pointer, self.sync, state, allow_shrink=allow_shrink)
        except ReleaseShrinks as error:
            self.ledger.mark(request, "requested", str(error))
            raise
        now = self.clock()
        evidence = collect(
            self.lake,
            self.target,
            self.sync,
            state,
            live,
            index=self.index,
            metric=self.metric,
            recall_floor=self.recall_floor,
            recall_queries=self.recall_queries,
            probes=self.probes,
            now=now,
        )
        report = judge(evidence, self.policy, moment=now)
        evidence_id = keep_report(
            self.lake, request.request_id, report, run_id=self.run_id, now=now
        )
        with self._locked():
            if known is not None:
                self._reopen_if_worse(request, judge(known, self.policy, moment=now), report)
            saved = replace(
                self.ledger.get(request.request_id), evidence_id=evidence_id, updated_at=now
            )
            return evidence, self.ledger.requests.save(saved)

    def _reopen_if_worse(self, request: ReleaseRequest, old: GateReport, new: GateReport) -> None:
        """Approvals were given to what the gates said; a gate that cannot tell any more was not."""
        unsure = sorted(set(new.named("undecided")) - set(old.named("undecided")))
        standing = self.ledger.standing(request)
        if unsure and (standing.approvals or "undecided" in standing.overrides):
            why = f"measured again: {', '.join(unsure)} undecided now; earlier approvals are void"
            self.ledger.decide("reopen", request, PLATFORM, why)

    def _is_fresh(self, evidence: Evidence, live: GenerationState | None) -> bool:
        age = self.clock() - datetime.fromisoformat(evidence.measured_at)
        return (
            evidence.newest_snapshot == chunks_of(self.lake.snapshot())
            and evidence.champion == (live.generation if live else None)
            and age <= timedelta(hours=self.policy.evidence_hours)
        )

    # -- going back -------------------------------------------------------------------------

    def roll_back(
        self,
        *,
        actor: str,
        reason: str,
        automatic: bool = False,
        allow_shrink: bool = False,
        evidence_ids: tuple[str, ...] = (),
    ) -> Release:
        """Make the previous generation live again, at any time, freeze or not.

        The one that is taken back is not released again by a sensor; see `request`.

        Raises:
            NothingToRollBackTo: There is no previous generation.
            ReleaseShrinks: Readers would lose too many rows.
            SyncInProgress: Somebody is writing the index.
        """
        what: What = "return" if automatic else "rollback"

        def decided(before: str, after: str) -> None:
            self.ledger.decisions.record(
                what,
                self._subject(before),
                actor=actor,
                why=reason,
                evidence=evidence_ids,
                before=before,
                after=after,
            )

        with self._locked():
            return roll_back(
                self.pointer,
                self.target,
                self.sync,
                actor=actor,
                reason=reason,
                run_id=self.run_id,
                allow_shrink=allow_shrink,
                deciding=decided,
            )

    # -- internals --------------------------------------------------------------------------

    def _find(self, state: GenerationState, automatic: bool) -> ReleaseRequest | None:
        """The open request for a generation, or the one that a sensor has been refused."""
        for request in reversed(self.ledger.of(state.generation)):
            end = self.ledger.standing(request).end
            if end is None and self.pointer.release_of(request.request_id) is None:
                return request
            if end == "rejected" and automatic and request.automatic:
                return request
        return None

    def _end(self, request: ReleaseRequest, what: What, actor: str, reason: str) -> Settled:
        return Settled(self.ledger.end(request, what, actor, reason), None, moved=False)

    def _state(self, request: ReleaseRequest) -> GenerationState:
        return next(s for s in self.sync.states.all() if s.generation == request.generation)

    def _live_state(self) -> GenerationState | None:
        return self.pointer.live_generation() if self.pointer.live() else None

    def _subject(self, generation: str) -> str:
        return f"{self.target.backend}/{self.index}/{generation}"

    @contextmanager
    def _locked(self) -> Iterator[None]:
        self._lock.parent.mkdir(parents=True, exist_ok=True)
        try:
            with FileLock(self._lock, timeout=LOCK_SECONDS):
                yield
        except Timeout as error:
            raise SyncInProgress(
                f"somebody else is releasing {self.target.backend} {self.index}; run this again"
            ) from error
