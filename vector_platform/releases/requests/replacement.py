"""A provisional model version gives way: the true one is released where it is live.

Belongs here: when its place is free, and what is still in the way.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from vector_platform.lake.lake import Lake
from vector_platform.releases.requests.service import ReleaseService


def take_over(
    lake: Lake,
    services: Iterable[ReleaseService],
    provisional: str,
    target: str,
    log: Callable[[str], None],
) -> str:
    """Release the true model version where the provisional one is live.

    While true vectors are missing, nothing changes.

    Args:
        lake: Of the deployment.
        services: Of every backend.
        provisional: The model version that gives way.
        target: The true one.
        log: Takes lines on progress.

    Returns:
        What is still in the way; empty when the place of the provisional one is free.
    """
    missing = lake.count_missing(target, lake.snapshot())
    if missing:
        return f"{provisional} stays: {missing} contents have no vector under {target} yet"
    waiting: list[str] = []
    for service in services:
        state = service.context.sync.sync(target).generation
        live = service.context.pointer.live()
        if live is None or live.model_version != provisional:
            continue
        reason = f"the true vectors of {target} are complete"
        reconciled = service.release(
            state,
            actor="replace_alignment",
            reason=reason,
            automatic=True,
            # Readers are on a stand-in for this very model: no approval, and too few queries
            # to tell the two apart, are no reason to stay there. A gate that fails stays shut.
            overrides={}
            if service.context.policy.approvers
            else {"undecided": reason, "approval": reason},
        )
        backend = service.context.backend
        log(f"{backend}: {reconciled.describe()}")
        if not reconciled.moved:
            waiting.append(f"{backend} {reconciled.describe()}")
    if not waiting:
        return ""
    return f"{provisional} stays until its place is taken: {'; '.join(waiting)}"
