"""Moving the live pointer, and what goes with it: catching up, the mirror, collecting the rest.

Belongs here: the move itself, forwards and back, and the guard over rows that readers would lose.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from math import ceil
from typing import Unpack

from vector_platform.errors import RefusedByPolicy, TransientError, VectorPlatformError
from vector_platform.indexes.base import VectorIndex
from vector_platform.indexes.lock import SyncInProgress
from vector_platform.indexes.plan import DeleteGuard
from vector_platform.indexes.state import GenerationState
from vector_platform.indexes.sync.sync import IndexSync
from vector_platform.releases.pointer.live import LivePointer, Move, Release

logger = logging.getLogger(__name__)

# A commit of the lake would have to fall into the moment after each of them.
CATCH_UPS = 5


class ReleaseShrinks(RefusedByPolicy):
    """A release would take away more rows from readers than the guard lets through."""


class LakeMovesOn(TransientError):
    """The lake has changed as often as a generation was brought up to date with it."""


@dataclass(frozen=True)
class Cutover:
    """Moves the live pointer of one index on one backend.

    Attributes:
        pointer: The live pointer.
        target: The backend.
        sync: Its sync.
    """

    pointer: LivePointer
    target: VectorIndex
    sync: IndexSync

    def move(
        self,
        state: GenerationState,
        *,
        allow_shrink: bool = False,
        deciding: Callable[[], None] = lambda: None,
        **move: Unpack[Move],
    ) -> Release:
        """Catch a generation up and move the pointer to it.

        Only the rows of this generation are locked, so that a build, a sync or a repair of another
        one holds nothing up. The move itself is made under the lock of the pointer and only while
        the lake is as the generation was caught up with; a sync that is about to remove something
        passes through the same lock first. So what readers have stopped seeing, the generation
        that goes live does not hold: no release ever brings back what was erased.

        The guard over deletes knows one generation. The guard here compares what goes live with
        what readers see: a source that returned nothing must not empty it.

        `deciding` is called when nothing but the move itself is left to do: a decision that must
        be on record before the pointer moves is written there.

        Raises:
            ReleaseShrinks: The generation would hold too few rows; no pointer has moved.
            SyncInProgress: Somebody still writes this generation; no pointer has moved.
            LakeMovesOn: The lake does not stay as it is for a moment; no pointer has moved.
        """
        with self.sync.locks.writing(state.generation).held():
            for _ in range(CATCH_UPS):
                state = self.catch_up(state, allow_shrink=allow_shrink)
                with self.sync.locks.pointer.held():
                    if not self.sync.is_current(state):
                        continue
                    deciding()
                    return self.pointer.promote(state, **move)
        raise LakeMovesOn(
            f"{self.target.backend} {state.generation} was brought up to date {CATCH_UPS} times, "
            "and the lake has moved on each time; run this again"
        )

    def tidy_up_quietly(self) -> None:
        """Tidy up after a move that has been made: what fails here is no failure of the release."""
        try:
            self.tidy_up()
        except VectorPlatformError as error:
            logger.warning(
                "%s: the pointer has moved; the next release command or sync does what is left to "
                "do: %s",
                self.target.backend,
                error,
            )

    def tidy_up(self) -> list[GenerationState]:
        """Mirror the pointer, and drop what nobody needs and the policy does not keep.

        A generation that somebody is writing is left to the next one who tidies up.

        Returns:
            The generations that were dropped.
        """
        self.mirror()
        dropped = []
        for state in self.pointer.collectable():
            rows = self.sync.locks.writing(state.generation)
            with suppress(SyncInProgress), rows.held(wait_seconds=0):
                # It may have gone live, or have been dropped, before it was ours.
                if state.generation in {one.generation for one in self.pointer.collectable()}:
                    self.sync.drop(state)
                    dropped.append(state)
        return dropped

    def mirror(self) -> None:
        """Make the backend's own aliases stand for the live generation, if there is one.

        Whoever moves the pointer calls this afterwards, one at a time, and reads the pointer under
        the lock: so the last one leaves the aliases where the pointer is.
        """
        with self.sync.locks.mirror.held():
            if self.pointer.live() is not None:
                self.pointer.mirror(self.target)

    def catch_up(self, state: GenerationState, *, allow_shrink: bool = False) -> GenerationState:
        """Bring a generation to the newest snapshot, and make sure that readers would lose little.

        Raises:
            ReleaseShrinks: The generation would hold too few rows.
            SyncInProgress: Somebody still writes this generation.
        """
        live, floor = self.pointer.live(), 0
        share = self.sync.context.max_delete_share
        if live is not None and not allow_shrink:
            floor = ceil(self.pointer.live_generation().rows * (1 - share))
        spare = max(0, state.rows - floor) if live is not None or allow_shrink else 0
        state = self._caught_up(state, floor=floor, spare=spare)
        if state.rows < floor:
            raise ReleaseShrinks(
                f"{state.backend} {state.generation} holds {state.rows} rows where readers must "
                f"keep {floor}; the guard lets {share:.0%} go. No pointer has "
                "moved. If it is right: --allow-shrink"
            )
        return state

    def _caught_up(self, state: GenerationState, *, floor: int, spare: int) -> GenerationState:
        """Bring a generation that readers do not see yet to the newest snapshot.

        It may be far behind, so all deletes are let through that leave the rows readers must keep.
        """
        try:
            report = self.sync.sync(
                state.model_version, generation=state.generation, allow_delete=spare
            )
        except DeleteGuard as error:
            if not floor:
                raise
            raise ReleaseShrinks(
                f"{state.backend} {state.generation} is behind the lake, and would lose more than "
                f"the {spare} of its rows that readers can spare. Nothing has been deleted and no "
                "pointer has moved. If it is right: --allow-shrink"
            ) from error
        return report.generation
