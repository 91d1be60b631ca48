"""One writer at a time on this machine: a lock that ends with its holder, and says who that is.

Belongs here: keeping a second writer out, waiting for the first, and naming it. A lock is a file
that the operating system lets go of when its process ends, however it does. Writers of several
machines are kept apart by the commits of the tables.
"""

from __future__ import annotations

import json
import os
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from vector_platform.errors import TransientError

# How often somebody who waits says for whom, and sees whether it is another one by now.
SAY_SECONDS = 60.0


class WriteInProgress(TransientError):
    """Somebody else has been writing the same thing for longer than one waits."""


class WaitingLock:
    """A lock that is waited for, and that says who holds it.

    Args:
        path: Its file. Who holds it is written beside it, for whoever waits.
        name: What it locks, in words.
        run_id: Who takes it.
        wait_seconds: How long somebody else is waited for.
        progress: Called with one line when there is somebody to wait for.
        error: What is raised when somebody else still holds it.
    """

    def __init__(
        self,
        path: Path,
        name: str,
        *,
        run_id: str,
        wait_seconds: float,
        progress: Callable[[str], None],
        error: type[WriteInProgress] = WriteInProgress,
    ) -> None:
        self._path = path
        self._name = name
        self._run_id = run_id
        self._wait_seconds = wait_seconds
        self._progress = progress
        self._error = error
        # One object for all blocks, so that a thread that holds it may take it again.
        self._file = FileLock(path)

    @contextmanager
    def held(self, *, wait_seconds: float | None = None) -> Iterator[None]:
        """Hold the lock for a block; whoever holds it may do so again.

        Args:
            wait_seconds: How long somebody else is waited for; None for what the lock was made
                with.

        Raises:
            WriteInProgress: Somebody else still holds it.
        """
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._acquire(self._wait_seconds if wait_seconds is None else wait_seconds)
        try:
            if self._file.lock_counter == 1:
                self._sign()
            yield
        finally:
            self._file.release()

    def forget(self) -> None:
        """Remove the files, by its holder, when what it locks is gone for good."""
        for path in (self._path, self._signature):
            path.unlink(missing_ok=True)

    def _acquire(self, wait_seconds: float) -> None:
        ends, told = time.monotonic() + wait_seconds, ""
        while True:
            left = ends - time.monotonic()
            with suppress(Timeout):
                self._file.acquire(timeout=max(0.0, min(left, SAY_SECONDS)) if told else 0)
                return
            holder = self._holder()
            if left <= 0 or wait_seconds <= 0:
                raise self._error(
                    f"{self._name} is being written by {holder} (lock {self._path.name}); run "
                    "this again when it is done"
                )
            if holder != told:
                self._progress(f"waiting for {self._name}, up to {left:.0f} s: {holder} writes it")
            told = holder

    # -- who holds it -----------------------------------------------------------------------

    @property
    def _signature(self) -> Path:
        return self._path.with_suffix(".holder")

    def _sign(self) -> None:
        holder = {
            "run_id": self._run_id,
            "process": os.getpid(),
            "host": socket.gethostname(),
            "since": datetime.now(UTC).isoformat(timespec="seconds"),
        }
        fresh = self._path.with_suffix(f".{os.getpid()}")
        fresh.write_text(json.dumps(holder), encoding="utf-8")
        fresh.replace(self._signature)

    def _holder(self) -> str:
        """Who has signed last: the holder, or the one before if it has not come to that yet."""
        try:
            known: dict[str, Any] = json.loads(self._signature.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return "another process"
        return (
            f"run {known['run_id']} (another process, {known['process']} on {known['host']}, "
            f"since {known['since']})"
        )
