"""One writer an index: a lock that the operating system lets go of when its holder dies.

Belongs here: keeping a second writer out. Does not belong here: waiting; a scheduler retries.
The lock is a file, so it keeps apart the writers of one machine. Dagster's pool keeps apart the
runs of one deployment.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from vector_platform.errors import TransientError


class SyncInProgress(TransientError):
    """Another process is writing the same index; two writers are never allowed."""


class IndexLock:
    """The lock of one index on one backend."""

    def __init__(self, folder: Path, backend: str, index: str) -> None:
        self._path = folder / f"{backend}-{index}.lock"
        self._name = f"{backend} {index}"
        # One object for all blocks, so that a thread that holds it may take it again.
        self._file = FileLock(self._path)

    @contextmanager
    def held(self) -> Iterator[None]:
        """Hold the lock for a block; whoever holds it may do so again.

        Raises:
            SyncInProgress: Another process holds it.
        """
        self._path.parent.mkdir(parents=True, exist_ok=True)
        try:
            self._file.acquire(timeout=0)
        except Timeout as error:
            raise SyncInProgress(
                f"another process is writing {self._name} (lock {self._path.name}); run this "
                "again when it is done"
            ) from error
        try:
            yield
        finally:
            self._file.release()
