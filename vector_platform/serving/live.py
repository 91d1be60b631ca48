"""What is live, as the lake last said: read beside the questions, never because of one.

Belongs here: the live generation of each backend, kept in memory and read again by a thread.

A question looks at memory alone. The lake is read every half second, so a cut-over, a doubt and a
proof are seen within a second. Where the lake cannot be read, the last that was read goes on being
served: after a few seconds answers are `degraded` and say since when, and nothing else changes
until the lake is read again. An answer from a generation that is gone is given once more after a
new look (`searcher.py`), so a cut-over is seen at once by who needs it.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from vector_platform.errors import VectorPlatformError
from vector_platform.faults import explained
from vector_platform.indexes.base import VectorIndex
from vector_platform.indexes.ownership.claims import Ownership
from vector_platform.indexes.state import GenerationState, IndexStates
from vector_platform.lake.lake import Lake
from vector_platform.releases.pointer.live import LivePointer, NothingLive
from vector_platform.settings import BackendName

REFRESH_SECONDS = 0.5
# Older than this, what was read is said to be old; some ten reads have failed or hung then.
STALE_SECONDS = 5.0
# What a backend says of who wrote a generation can change while our records do not.
_ASK_OWNER_SECONDS = 30.0

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Seen:
    """What is live on one backend: a generation, or else what to do where there is none."""

    live: GenerationState | None
    why_not: str = ""


@dataclass(frozen=True)
class _Owner:
    """What a backend said of who wrote a generation, and when it did.

    An objection is what a copied or restored lake has to say: rows may be of another history.
    """

    generation: GenerationState
    objection: str | None
    at: float


class LiveGenerations:
    """The live generation of each backend.

    Args:
        lake: Where pointers and generations are recorded.
        index: Logical index.
        backends: Of which backends.
        open_index: Opens a backend by name.
        every: Seconds between two looks at the lake.
        clock: Reads seconds; handed in, so that a test decides how old something is.
    """

    def __init__(
        self,
        lake: Lake,
        index: str,
        backends: Sequence[BackendName],
        *,
        open_index: Callable[[BackendName], VectorIndex],
        every: float = REFRESH_SECONDS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.backends = tuple(backends)
        self._lake = lake
        self._index = index
        self._open_index = open_index
        self._every = every
        self._clock = clock
        self._seen: dict[BackendName, Seen] = {}
        self._owners: dict[BackendName, _Owner] = {}
        self._versions: object = None
        self._read_at = 0.0
        self._problem = ""
        self._reading = threading.Lock()
        self._stopping = threading.Event()
        self._threads: list[threading.Thread] = []

    # -- asked by questions -----------------------------------------------------------------

    def of(self, backend: BackendName) -> GenerationState:
        """The generation readers see. The first question reads the lake, and no other does.

        Raises:
            NothingLive: None has been promoted.
        """
        if not self._seen:
            self._begin()
        seen = self._seen[backend]
        if seen.live is None:
            raise NothingLive(seen.why_not)
        return seen.live

    @property
    def age_seconds(self) -> float:
        """How long ago the lake was last read."""
        return self._clock() - self._read_at

    def doubt(self, live: GenerationState) -> str | None:
        """What is known to be wrong with a generation, or with what is known of it."""
        asked = self._owners.get(live.backend)
        same = asked is not None and asked.generation.generation == live.generation
        return live.doubt or (asked.objection if asked and same else None) or self._staleness()

    def _staleness(self) -> str | None:
        age = self.age_seconds
        if age <= STALE_SECONDS:
            return None
        why = f": {self._problem}" if self._problem else ""
        return f"what is live was last read {age:.0f} seconds ago{why}"

    # -- beside them ------------------------------------------------------------------------

    def refresh(self) -> None:
        """Read what is live now.

        Raises:
            VectorPlatformError: The lake cannot be read. What was read before stays.
        """
        with self._reading:
            began = self._clock()
            versions = (self._lake.releases.identity(), self._lake.index_state.identity())
            if versions != self._versions:
                self._seen = {name: self._look(name) for name in self.backends}
                self._versions = versions
            self._read_at, self._problem = began, ""

    def ask_owners(self) -> None:
        """Ask the backends who wrote what is live, where that was not asked of late.

        One that does not answer is asked again; it does not answer searches either.
        """
        for backend, seen in list(self._seen.items()):
            now, asked = self._clock(), self._owners.get(backend)
            if seen.live is None or (
                asked is not None
                and asked.generation == seen.live
                and now - asked.at < _ASK_OWNER_SECONDS
            ):
                continue
            states = IndexStates(self._lake.index_state, backend, self._index)
            try:
                found = Ownership(states, self._open_index(backend)).objection(seen.live.generation)
            except VectorPlatformError:
                continue
            objection = f"the generation {found}" if found else None
            self._owners[backend] = _Owner(seen.live, objection, now)

    def close(self) -> None:
        """Stop reading."""
        self._stopping.set()
        for thread in self._threads:
            thread.join()

    def _begin(self) -> None:
        self.refresh()
        self.ask_owners()
        with self._reading:
            if self._threads or self._stopping.is_set():
                return
            # Apart, so that a backend that hangs makes nothing else look old.
            for work in (self.refresh, self.ask_owners):
                thread = threading.Thread(target=self._repeat, args=(work,), daemon=True)
                self._threads.append(thread)
                thread.start()

    def _repeat(self, work: Callable[[], None]) -> None:
        while not self._stopping.wait(self._every):
            try:
                work()
            # Whatever it is, it must not end the thread: answers would grow old and say nothing.
            except Exception as error:
                said = str(explained(error) or error) or type(error).__name__
                problem = " ".join(said.split())[:300]
                if problem != self._problem:
                    _log.warning("what is live cannot be read: %s", problem)
                self._problem = problem

    def _look(self, backend: BackendName) -> Seen:
        try:
            return Seen(LivePointer(self._lake, backend, self._index).live_generation())
        except NothingLive as error:
            return Seen(None, str(error))
