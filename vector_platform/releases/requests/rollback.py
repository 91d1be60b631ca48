"""Going back: an earlier generation is made live again, on one backend or on several.

Belongs here: asking for it as one request, and completing what an earlier one has left.

No gate and no freeze is asked: readers have been served by that generation before. What is taken
back is not released again by a sensor.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from vector_platform.indexes.contract import Mirrored, with_lacking
from vector_platform.releases.pointer.targets import NothingToRollBackTo, Turn, turn_of
from vector_platform.releases.requests.asking import Asked, ask_together
from vector_platform.releases.requests.policy import Override
from vector_platform.releases.requests.service import ReleaseService, reconcile_together


@dataclass(frozen=True)
class WentBack:
    """What a rollback did on one backend.

    Attributes:
        backend: Whose pointer.
        model_version: Model that is live afterwards.
        generation: Generation that is live afterwards, unless it waits.
        leaves: Generation that was taken back, now or before.
        moved: Whether this call moved the pointer.
        request_id: Part of the request; empty where there was nothing left to ask for.
        why: Why the pointer did not move.
        mirrored: How far the backend's aliases follow; None when nobody looked.
    """

    backend: str
    model_version: str
    generation: str
    leaves: str
    moved: bool
    request_id: str
    why: str
    mirrored: Mirrored | None = None

    def describe(self) -> str:
        """One line for people."""
        what = f"{self.model_version} {self.generation}"
        if self.moved:
            what += f" is now live, rolled back from {self.leaves}"
            return with_lacking(what, self.mirrored)
        return f"{what}: {self.why}"

    def facts(self) -> dict[str, Any]:
        """The outcome for machines."""
        return vars(self) | {"mirrored": vars(self.mirrored) if self.mirrored else None}


def go_back(
    services: Sequence[ReleaseService],
    *,
    actor: str,
    reason: str,
    automatic: bool = False,
    allow_shrink: bool = False,
    to: str | None = None,
    before: str | None = None,
    evidence_ids: tuple[str, ...] = (),
) -> list[WentBack]:
    """Make an earlier generation live again, at any time, freeze or not.

    Over several backends it is one request, written down whole before the first pointer moves. A
    call that is repeated completes what is missing, moves nothing that has moved, and mends
    aliases that were left behind.

    Args:
        services: Of the backends.
        actor: Who goes back.
        reason: Why.
        automatic: Whether the monitor goes back, and not a person.
        allow_shrink: Let readers lose many rows.
        to: Generation to make live; None for the one before the newest release.
        before: Release request: the generation before what it released.
        evidence_ids: Evaluations that led to it.

    Returns:
        One outcome a service, in their order.

    Raises:
        NotOurs: An index is another lake's, or was written by another history of this one.
        NothingToRollBackTo: One of the backends has no such generation; nothing has moved.
        ReleaseShrinks: Readers would lose too many rows; that part waits.
        SyncInProgress: Somebody still writes that generation; that part waits.
    """
    turns = [
        turn_of(service.context.pointer.history(), service.context.backend, to=to, before=before)
        for service in services
    ]
    parts = [_part(service, turn) for service, turn in zip(services, turns, strict=True)]
    overrides: dict[Override, str] = {"shrink": reason} if allow_shrink else {}
    asked = ask_together(
        [part for part, turn in zip(parts, turns, strict=True) if not turn.done],
        actor=actor,
        reason=reason,
        automatic=automatic,
        overrides=overrides,
        evidence_ids=evidence_ids,
    )
    complete = [
        partial(_complete, service, turn)
        for service, turn in zip(services, turns, strict=True)
        if turn.done
    ]
    reconciled = {
        one.request.backend: one for one in reconcile_together(services, asked, completing=complete)
    }
    done = []
    for part, turn in zip(parts, turns, strict=True):
        backend = part.store.context.backend
        found = reconciled.get(backend)
        done.append(
            WentBack(
                backend,
                part.state.model_version,
                turn.target,
                turn.leaves,
                moved=found is not None and found.moved,
                request_id=found.request.request_id if found else "",
                why=found.describe() if found else f"live already, {turn.leaves} was taken back",
                mirrored=part.store.context.pointer.mirrored,
            )
        )
    return done


def _part(service: ReleaseService, turn: Turn) -> Asked:
    present = {state.generation: state for state in service.context.sync.states.present()}
    if turn.target not in present:
        raise NothingToRollBackTo(
            f"{service.context.backend} {turn.target} has been dropped "
            "(releases.keep_generations), so nothing can go back to it"
        )
    return Asked(service.store, present[turn.target], turn.leaves)


def _complete(service: ReleaseService, turn: Turn) -> None:
    """Finish the books and the mirror of a rollback that was interrupted after its move."""
    service.mend_mirror()
    for request in service.store.open():
        if request.leaves and request.generation == turn.target:
            service.reconcile(request.request_id)
