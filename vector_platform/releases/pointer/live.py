"""The live pointer: which generation of an index readers see, on each backend.

Belongs here: the append-only history in `releases`, promotion and rollback.

The platform's own record is the truth: one Delta commit moves it, every reader of ours follows
it. The backend's alias mirrors it for readers outside. What dies in between is made good by the
next sync, which mirrors it again.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import TypedDict, Unpack

import pyarrow as pa

from vector_platform.errors import RefusedByPolicy, TerminalError
from vector_platform.indexes.base import VectorIndex
from vector_platform.indexes.contract import Mirrored
from vector_platform.indexes.ownership.claims import Ownership
from vector_platform.indexes.state import GenerationState, IndexStates
from vector_platform.lake.contract import canonical_json
from vector_platform.lake.lake import Lake
from vector_platform.lake.storage.conditions import Condition


class NothingLive(TerminalError):
    """No generation has been promoted on this backend yet."""


class NotPromotable(RefusedByPolicy):
    """A generation that is not proven equal to the lake can never become live."""


@dataclass(frozen=True)
class Release:
    """One move of the live pointer.

    Attributes:
        backend: Backend whose pointer moved.
        index: Logical index.
        sequence: 1, 2, ...; the highest is live.
        generation: Generation that became live.
        model_version: Its model version.
        previous_generation: The one before; None for the first.
        actor: Who asked for it: a person, a job, a sensor.
        reason: Why.
        evidence: Canonical JSON of what the decision rested on.
        run_id: Run that moved it.
        released_at: When.
    """

    backend: str
    index: str
    sequence: int
    generation: str
    model_version: str
    previous_generation: str | None
    actor: str
    reason: str
    evidence: str
    run_id: str
    released_at: datetime

    def known(self, what: str) -> str | None:
        """One text of the evidence: `request` it fulfilled, generation it `rolled_back`."""
        found = json.loads(self.evidence).get(what)
        return str(found) if found else None


class Move(TypedDict):
    """Who moves the pointer, and why; as keywords of whatever moves it.

    Attributes:
        actor: Who asked for it.
        reason: Why.
        evidence: What the decision rested on.
        run_id: Run that moves it.
    """

    actor: str
    reason: str
    evidence: dict[str, object]
    run_id: str


class LivePointer:
    """The live pointer of one index on one backend.

    Args:
        lake: Where its history is.
        backend: Whose pointer.
        index: Logical index.
        keep_generations: How many generations that were live before are kept.
        keep_days: Every generation that was live within so many days is kept as well.

    Attributes:
        mirrored: How far the backend's aliases followed when this object last mirrored the pointer.
    """

    def __init__(
        self,
        lake: Lake,
        backend: str,
        index: str,
        *,
        keep_generations: int = 1,
        keep_days: int = 0,
    ) -> None:
        self.mirrored: Mirrored | None = None
        self._keep_generations = keep_generations
        self._keep_for = timedelta(days=keep_days)
        self._table = lake.releases
        self._states = IndexStates(lake.index_state, backend, index)
        self._backend = backend
        self._index = index

    def history(self) -> list[Release]:
        """Every move, oldest first."""
        mine: list[Condition] = [
            ("backend", "==", self._backend),
            ("index", "==", self._index),
        ]
        rows = self._table.read(where=mine).to_pylist()
        return sorted((Release(**row) for row in rows), key=lambda release: release.sequence)

    def release_of(self, request_id: str) -> Release | None:
        """The move that fulfilled a release request, if there was one."""
        return next((r for r in self.history() if r.known("request") == request_id), None)

    def live(self) -> Release | None:
        """The newest move, or None when nothing has been promoted yet."""
        history = self.history()
        return history[-1] if history else None

    def live_generation(self) -> GenerationState:
        """The generation readers see.

        Raises:
            NothingLive: None has been promoted.
        """
        release = self.live()
        if release is None:
            built = self._states.present()
            raise NothingLive(
                f"{self._backend} has generations of {self._index}, and none is live yet: "
                f"`vector-platform release promote {built[-1].model_version} --reason WHY`"
                if built
                else f"{self._backend} has no generation of {self._index} yet: `vector-platform "
                "run` lands the sources, builds one, and makes it live"
            )
        return next(s for s in self._states.all() if s.generation == release.generation)

    def following(self, model_version: str) -> list[GenerationState]:
        """Generations of a model version that must equal the lake; the newest comes last.

        Usually one. While a newer generation waits for its release, or after a rollback, readers
        see an older one: then that one follows as well.
        """
        newest = self._states.newest(model_version)
        if newest is None:
            return []
        release = self.live()
        if (
            release is None
            or release.model_version != model_version
            or release.generation == newest.generation
        ):
            return [newest]
        return [self.live_generation(), newest]

    def promote(self, state: GenerationState, **move: Unpack[Move]) -> Release:
        """Make a generation live. Promoting the live one again changes nothing.

        Raises:
            NotPromotable: It is not proven.
            CommitConflict: Somebody else moved the pointer at the same moment.
        """
        current = self.live()
        if current is not None and current.generation == state.generation:
            return current
        if state.status != "proven":
            raise NotPromotable(
                f"{self._backend} {self._index} {state.generation} is {state.status}, not proven "
                f"equal to the lake: materialise {self._backend}/{self._index} for "
                f"{state.model_version} first"
            )
        release = Release(
            backend=self._backend,
            index=self._index,
            sequence=current.sequence + 1 if current else 1,
            generation=state.generation,
            model_version=state.model_version,
            previous_generation=current.generation if current else None,
            released_at=datetime.now(UTC),
            actor=move["actor"],
            reason=move["reason"],
            evidence=canonical_json(move["evidence"]),
            run_id=move["run_id"],
        )
        # A merge, not an append: two promotions at once conflict on the sequence.
        self._table.merge(
            pa.Table.from_pylist([vars(release)], schema=self._table.spec.schema),
            metadata={"run_id": move["run_id"], "what": f"live: {state.generation}"},
        )
        return release

    def mirror(self, target: VectorIndex) -> Mirrored:
        """Repeat the pointer in the backend's own alias, for readers outside the platform.

        Raises:
            NotOurs: The index is another lake's, or was written by another history of this one.
        """
        Ownership(self._states, target).require()
        self.mirrored = target.point(self.live_generation().identity)
        return self.mirrored

    def collectable(self, *, replaced: Collection[str] = ()) -> list[GenerationState]:
        """Generations that nobody needs and the policy does not keep, oldest first.

        Always kept are the live one, the one before, and of each model version the newest and
        the newest proven one: a sync continues the former, a release may choose the latter.

        Args:
            replaced: Model versions that others have replaced: of these only a live generation
                is kept.
        """
        history = self.history()
        left: dict[str, datetime] = {}
        for release, following in pairwise(history):
            left.pop(release.generation, None)  # the last time it was live counts
            left[release.generation] = following.released_at
        live = {release.generation for release in history[-1:]}
        left = {name: when for name, when in left.items() if name not in live}
        keep = live | set(list(left)[-self._keep_generations :])
        since = datetime.now(UTC) - self._keep_for
        keep |= {name for name, when in left.items() if when > since}
        present = self._states.present()
        newest = {state.model_version: state.generation for state in present}
        proven = {s.model_version: s.generation for s in present if s.status == "proven"}
        keep |= {*newest.values(), *proven.values()}
        return [
            state
            for state in present
            if state.generation not in (live if state.model_version in replaced else keep)
        ]


def rolled_back(history: Sequence[Release]) -> dict[str, str]:
    """Generations that were taken back and have not been live since -> why, oldest move first."""
    taken: dict[str, str] = {}
    for release in history:
        taken.pop(release.generation, None)
        back = release.known("rolled_back")
        if back:
            taken[back] = release.reason
    return taken
