"""Who may write what of an index.

Belongs here: what is locked, and in which order. The locks keep apart the writers of one machine
(`lake/storage/waiting.py`); Dagster's pools keep apart the runs of one deployment.

What is locked is small, so that little ever waits:

* the rows of one generation, for whoever writes them or makes that generation live; a build holds
  nothing else while it writes, so a release or a rollback of another generation passes it by;
* the catalogue, for the moments in which a generation is named, made or removed: a Pinecone index
  is shared by the generations of a model, and goes with the last of them;
* the pointer, for the commit that moves it;
* the mirror, for the calls that repeat the pointer in the backend's own aliases.

Whoever needs several takes them in this order, which no two holders can turn into a ring. Nobody
waits for the rows of a second generation: what is busy is left to the next run.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from vector_platform.lake.storage.waiting import WaitingLock, WriteInProgress

WAIT_SECONDS = 3600.0


class SyncInProgress(WriteInProgress):
    """Somebody else has been writing the same thing for longer than one waits."""


class IndexLocks:
    """The locks of one index on one backend.

    Args:
        folder: Where their files are.
        backend: Backend.
        index: Logical index.
        run_id: Who takes them.
        wait_seconds: How long somebody else is waited for.
        progress: Called with one line when there is somebody to wait for.
    """

    def __init__(
        self,
        folder: Path,
        backend: str,
        index: str,
        *,
        run_id: str,
        wait_seconds: float = WAIT_SECONDS,
        progress: Callable[[str], None] = lambda line: None,
    ) -> None:
        self._folder = folder
        self._place = f"{backend}-{index}"
        self._run_id = run_id
        self._wait_seconds = wait_seconds
        self._progress = progress
        self._made: dict[str, WaitingLock] = {}

    def writing(self, generation: str) -> WaitingLock:
        """The rows of a generation: whoever writes them, or makes it live."""
        return self._lock(generation)

    @property
    def catalogue(self) -> WaitingLock:
        """Which generations there are: for the moments in which that changes."""
        return self._lock("catalogue")

    @property
    def pointer(self) -> WaitingLock:
        """Which generation readers see: for the commit that changes it."""
        return self._lock("pointer")

    @property
    def mirror(self) -> WaitingLock:
        """The backend's aliases: for the calls that repeat the pointer there."""
        return self._lock("mirror")

    @property
    def books(self) -> WaitingLock:
        """Requests for releases, and what was decided about them."""
        return self._lock("requests")

    def _lock(self, what: str) -> WaitingLock:
        if what not in self._made:
            self._made[what] = WaitingLock(
                self._folder / f"{self._place}-{what}.lock",
                f"{self._place.replace('-', ' ', 1)} {what}",
                run_id=self._run_id,
                wait_seconds=self._wait_seconds,
                progress=self._progress,
                error=SyncInProgress,
            )
        return self._made[what]
