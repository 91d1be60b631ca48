"""Moving the live pointer, and what goes with it: catching up, the mirror, collecting the rest.

Belongs here: the move itself, forwards and back, and the guard over rows that readers would lose.
Does not belong here: which generation is to go live (`promotion.py`), or the pointer's own record
(`pointer.py`).
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from math import ceil

from vector_platform.errors import TerminalError, VectorPlatformError
from vector_platform.indexes.base import VectorIndex
from vector_platform.indexes.plan import DeleteGuard
from vector_platform.indexes.state import GenerationState
from vector_platform.indexes.sync import IndexSync
from vector_platform.releases.pointer import LivePointer, Release

logger = logging.getLogger(__name__)


class ReleaseShrinks(TerminalError):
    """A release would take away more rows from readers than the guard lets through."""


class NothingToRollBackTo(TerminalError):
    """The live pointer has no earlier generation that still exists."""


def release_generation(
    pointer: LivePointer,
    target: VectorIndex,
    sync: IndexSync,
    state: GenerationState,
    *,
    actor: str,
    reason: str,
    evidence: dict[str, object],
    run_id: str,
    allow_shrink: bool = False,
    deciding: Callable[[], None] = lambda: None,
) -> Release:
    """Catch a generation up, move the pointer, and tidy up after it.

    The index's lock is held throughout. What readers have stopped seeing was gone from the lake
    before, so a generation that is caught up under the lock does not hold it, and nothing more
    can go until the pointer has moved: no release ever brings back what was erased.

    The guard over deletes knows one generation. The guard here compares what goes live with what
    readers see: a source that returned nothing must not empty it.

    `deciding` is called when nothing but the move itself is left to do: a decision that must be
    on record before the pointer moves is written there.

    Raises:
        ReleaseShrinks: The generation would hold too few rows; no pointer has moved.
        SyncInProgress: Somebody is writing the index; no pointer has moved.
    """
    with sync.exclusively():
        state = catch_up(pointer, sync, state, allow_shrink=allow_shrink)
        deciding()
        release = pointer.promote(
            state, actor=actor, reason=reason, evidence=evidence, run_id=run_id
        )
        try:
            tidy_up(pointer, target, sync)
        except VectorPlatformError as error:
            # Not a failure of the release: whoever repeats a rollback would undo it.
            logger.warning(
                "%s %s is live; the next sync does what is left to do: %s",
                target.backend,
                state.generation,
                error,
            )
    return release


def tidy_up(pointer: LivePointer, target: VectorIndex, sync: IndexSync) -> list[GenerationState]:
    """Mirror the pointer, and drop what nobody needs and the policy does not keep.

    After every release, and again after every sync: a release may have been killed half-way, a
    tenant may be new, a generation may have grown too old.

    Returns:
        The generations that were dropped.
    """
    if pointer.live() is not None:
        pointer.mirror(target)
    doomed = pointer.collectable()
    for state in doomed:
        sync.drop(state)
    return doomed


def roll_back(
    pointer: LivePointer,
    target: VectorIndex,
    sync: IndexSync,
    *,
    actor: str,
    reason: str,
    run_id: str,
    allow_shrink: bool = False,
    deciding: Callable[[str, str], None] = lambda before, after: None,
) -> Release:
    """Make the previous generation live again, after bringing it to the lake's newest snapshot.

    `deciding` is called with the live and the previous generation just before the move.

    Raises:
        NothingToRollBackTo: There is no previous generation, or it has been collected.
        ReleaseShrinks: Readers would lose too many rows.
    """
    with sync.exclusively():
        live = pointer.live()
        present = {state.generation: state for state in sync.states.present()}
        previous = present.get(live.previous_generation or "") if live else None
        if live is None or previous is None:
            raise NothingToRollBackTo(f"{target.backend} has no previous generation to go back to")
        return release_generation(
            pointer,
            target,
            sync,
            previous,
            actor=actor,
            reason=reason,
            evidence={"rolled_back": live.generation},
            run_id=run_id,
            allow_shrink=allow_shrink,
            deciding=lambda: deciding(live.generation, previous.generation),
        )


def catch_up(
    pointer: LivePointer, sync: IndexSync, state: GenerationState, *, allow_shrink: bool = False
) -> GenerationState:
    """Bring a generation to the newest snapshot, and make sure that readers would lose little.

    Raises:
        ReleaseShrinks: The generation would hold too few rows.
        SyncInProgress: Somebody is writing the index.
    """
    live, floor = pointer.live(), 0
    if live is not None and not allow_shrink:
        floor = ceil(pointer.live_generation().rows * (1 - sync.max_delete_share))
    spare = max(0, state.rows - floor) if live is not None or allow_shrink else 0
    state = _caught_up(sync, state, floor=floor, spare=spare)
    if state.rows < floor:
        raise ReleaseShrinks(
            f"{state.backend} {state.generation} holds {state.rows} rows where readers must "
            f"keep {floor}; the guard lets {sync.max_delete_share:.0%} go. No pointer has "
            "moved. If it is right: --allow-shrink"
        )
    return state


def _caught_up(
    sync: IndexSync, state: GenerationState, *, floor: int, spare: int
) -> GenerationState:
    """Bring a generation that readers do not see yet to the newest snapshot.

    It may be far behind, so all deletes are let through that leave the rows readers must keep.
    """
    try:
        report = sync.sync(state.model_version, generation=state.generation, allow_delete=spare)
    except DeleteGuard as error:
        if not floor:
            raise
        raise ReleaseShrinks(
            f"{state.backend} {state.generation} is behind the lake, and would lose more than the "
            f"{spare} of its rows that readers can spare. Nothing has been deleted and no pointer "
            "has moved. If it is right: --allow-shrink"
        ) from error
    return report.generation
