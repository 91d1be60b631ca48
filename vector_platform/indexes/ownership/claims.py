"""Whose the generations of an index are: what the backend says of them, held against our records.

Belongs here: who may write to an index, and the stamp that each writer leaves.

A lake has an identity, and everything made from it bears that. A copied lake, or one restored from
a backup, has the same; so every session of writing leaves a stamp on the generation it writes,
recorded in the lake before. A generation whose stamp our records do not know was written by
somebody whose history is not ours: a copy of this lake, or this lake at a later time. An index's
name on a backend belongs to one lake as a whole, because its generations share an alias.

The order makes a kill at any line harmless: a stamp is in the records before it is on the backend.
A server that dies may come back with a stamp that it bore before, although it has acknowledged a
newer one (seen on Milvus 2.3.5). So the last few stay known, and one from before the session that
proved a generation says that the server has lost something: everything is compared then.
"""

from __future__ import annotations

import uuid
from datetime import datetime

from vector_platform.indexes.base import VectorIndex
from vector_platform.indexes.contract import Claim, Generation, NotOurs
from vector_platform.indexes.marks import WAYS_OUT, whose
from vector_platform.indexes.state import GenerationState, IndexStates
from vector_platform.lake.snapshots import Snapshot

TOKEN_CHARACTERS = 16
# Earlier stamps that stay known: those of two sessions that came to their end, and of some between.
EARLIER = 6
# The session that proves a generation leaves one stamp before it writes and one after the proof.
OF_A_SESSION = 2


def new_stamp(snapshot: Snapshot) -> str:
    """Text that nobody has written before, with the commits its writer brings an index to."""
    return f"{uuid.uuid4().hex[:TOKEN_CHARACTERS]} {snapshot} {snapshot.chunks_id}".strip()


class Ownership:
    """Who may write the generations of one index on one backend.

    Args:
        states: Our records.
        target: The backend.
    """

    def __init__(self, states: IndexStates, target: VectorIndex) -> None:
        self._states = states
        self._target = target

    def looked_at(self) -> list[tuple[Claim, str | None]]:
        """Every generation of the index on the backend, with why it is not ours to write."""
        # The backend first: a stamp that another run leaves meanwhile is in the records by then.
        claims = self._target.claims(self._states.index)
        lake = self._states.lake
        known = {state.generation: state for state in self._states.all()}
        return [
            (place, _objection(place, known.get(place.generation.name), lake)) for place in claims
        ]

    def objection(self, generation: str) -> str | None:
        """Why one generation is not as our records know it; None when it is, or is not there."""
        found = {place.generation.name: why for place, why in self.looked_at()}
        return found.get(generation)

    def require(self) -> dict[str, str]:
        """See that all generations of the index are this lake's, as our records know them.

        Returns:
            The stamp that each of them bears.

        Raises:
            NotOurs: One is not.
        """
        found = self.looked_at()
        for place, objection in found:
            if objection is not None:
                name = f"{self._target.backend} {self._states.index} {place.generation.name}"
                raise NotOurs(f"{name} {objection}")
        return {place.generation.name: place.stamp for place, _ in found}

    def lost(self, state: GenerationState) -> str | None:
        """Why a proven generation may not be what was proven; None when nothing tells so.

        Raises:
            NotOurs: Somebody else has written it.
        """
        borne = self.require().get(state.generation)
        if state.status != "proven" or not borne or borne in state.stamps[-OF_A_SESSION:]:
            return None
        return "the server bears the stamp of an earlier session: it has lost what came after"

    def require_free(self, generation: Generation) -> None:
        """See that nothing stands where a new generation is to be made.

        Raises:
            NotOurs: Something does.
        """
        if self._target.exists(generation):
            raise NotOurs(
                f"{self._target.backend} {generation.index} {generation.name} is there, and this "
                f"lake has not made it. {WAYS_OUT}"
            )

    def open(
        self,
        state: GenerationState,
        snapshot: Snapshot,
        *,
        create: bool = False,
        run_id: str,
        now: datetime,
    ) -> GenerationState:
        """Begin a session of writing: a new stamp into our records, then onto the backend.

        Args:
            state: The generation.
            snapshot: What it is to be brought to.
            create: Whether its place has to be made first.
            run_id: Recorded with the change of state.
            now: When.

        Raises:
            NotOurs: Somebody else has written an index of this name.
        """
        borne, stamp = self.require().get(state.generation), new_stamp(snapshot)
        stamps = [*state.stamps[-EARLIER:], *([borne] if borne else []), stamp]
        stamps = list(dict.fromkeys(stamps))
        state = self._states.mark_syncing(state, stamps, run_id=run_id, now=now)
        if create:
            self._target.create(state.identity)
        self._target.mark(state.identity, stamp)
        return state


def _objection(place: Claim, state: GenerationState | None, lake: str) -> str | None:
    if place.generation.lake != lake:
        return whose(place.generation.lake, lake)
    if state is None:
        return f"is of this lake, but its records do not know it{_ANOTHER_HISTORY}"
    if place.stamp in state.stamps or (not place.stamp and state.status != "proven"):
        return None
    _, _, commits = place.stamp.partition(" ")
    return (
        f"was last written towards {commits or 'nothing we know'} by somebody whose records are "
        f"not these, which end at {state.snapshot}{_ANOTHER_HISTORY}"
    )


_ANOTHER_HISTORY = (
    ": this lake is a copy, or it or the backend was restored from a backup. Write from the lake "
    f"that wrote last. {WAYS_OUT}"
)
