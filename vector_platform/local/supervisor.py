"""Processes that are kept running: whichever ends is started again.

Belongs here: starting them, starting them again, and ending what a supervisor that was killed has
left behind.
"""

from __future__ import annotations

import contextlib
import json
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path

import psutil
from filelock import FileLock, Timeout

from vector_platform.errors import TerminalError
from vector_platform.local.service_records import ProcessIdentity

# A process that ended is started again after this long, twice as long each time it did not last.
FIRST_PAUSE_SECONDS = 1.0
LONGEST_PAUSE_SECONDS = 30.0
LASTED_SECONDS = 60.0
# A parent that had children and has none for so long has lost them; one that replaces its only
# child may have none for a moment.
BEREFT_SECONDS = 10.0
LOOK_SECONDS = 0.2
# A process that is told to end has this long before it is ended.
ENDING_SECONDS = 20.0


class AlreadyRunning(TerminalError):
    """Another process keeps the same ones running."""


class Supervisor:
    """Keeps processes running until it is told to stop.

    Args:
        commands: What to run, by name: a program of the system's, not a script, and arguments.
        folder: Where it remembers what it has started.
        say: Told in a line what happens.
        parents: Names of those that are of no use without a child of their own and do not start it
            again when it is killed.
    """

    def __init__(
        self,
        commands: Mapping[str, Sequence[str]],
        *,
        folder: Path,
        say: Callable[[str], None],
        parents: Collection[str] = (),
    ) -> None:
        self._commands = commands
        self._parents = parents
        self._record = folder / "processes.json"
        self._lock = FileLock(folder / "processes.lock")
        self._say = say
        self._stopping = threading.Event()
        self._running: dict[str, int] = {}
        self._recording = threading.Lock()

    def run(self) -> None:
        """Start everything, and return when `stop` or a signal says so and all have ended.

        Raises:
            AlreadyRunning: Another process does the same in this folder.
        """
        self._record.parent.mkdir(parents=True, exist_ok=True)
        try:
            self._lock.acquire(timeout=0)
        except Timeout as error:
            raise AlreadyRunning(
                f"these processes are kept running already (lock {self._lock.lock_file}); stop "
                "the other one first"
            ) from error
        try:
            self._end_leftovers()
            for name in (signal.SIGINT, signal.SIGTERM):
                signal.signal(name, lambda *_: self.stop())
            keepers = [threading.Thread(target=self._keep, args=(name,)) for name in self._commands]
            for keeper in keepers:
                keeper.start()
            for keeper in keepers:
                keeper.join()
        finally:
            self._lock.release()

    def stop(self) -> None:
        """End everything."""
        self._stopping.set()

    def _keep(self, name: str) -> None:
        pause = FIRST_PAUSE_SECONDS
        while not self._stopping.is_set():
            started = time.monotonic()
            ended = self._run_once(name)
            if self._stopping.is_set():
                return
            lasted = time.monotonic() - started > LASTED_SECONDS
            pause = FIRST_PAUSE_SECONDS if lasted else pause
            self._say(f"{name} ended ({ended}); it is started again")
            self._stopping.wait(pause)
            pause = min(2 * pause, LONGEST_PAUSE_SECONDS)

    def _run_once(self, name: str) -> object:
        """Start a process and wait for its end, or end it. How it ended, or why it did not start.

        A machine that is out of processes, memory or disk for a while is no reason to give up.
        """
        try:
            process = subprocess.Popen(
                self._commands[name], stdin=subprocess.DEVNULL, start_new_session=True
            )
        except OSError as error:
            return error
        try:
            self._remember(name, process)
            children = _Children(process.pid) if name in self._parents else None
            while process.poll() is None and not self._stopping.wait(LOOK_SECONDS):
                if children is not None and children.are_lost():
                    return "its own process was killed"
        except OSError as error:
            # What is not remembered could be left behind, and two daemons would ask for runs.
            return error
        finally:
            if process.poll() is None:
                _end(psutil.Process(process.pid))
            process.wait()
        return process.returncode

    def _remember(self, name: str, process: subprocess.Popen[bytes]) -> None:
        with self._recording:
            self._running[name] = process.pid
            known = [[pid, self._commands[one][1:]] for one, pid in self._running.items()]
            # Whoever is killed in between leaves the record of before.
            written = self._record.with_suffix(".new")
            written.write_text(json.dumps(known), encoding="utf-8")
            written.replace(self._record)

    def _end_leftovers(self) -> None:
        """End what a supervisor that was killed has left: two daemons would both ask for runs."""
        if not self._record.exists():
            return
        try:
            known = json.loads(self._record.read_text(encoding="utf-8"))
        except ValueError:  # killed while it was written
            known = []
        for pid, arguments in known:
            process = ProcessIdentity(pid, tuple(arguments)).process()
            if process is not None:
                self._say(f"ending {pid}, which was left behind")
                _end(process)


class _Children:
    """Whether a process has lost all the children that it had."""

    def __init__(self, pid: int) -> None:
        self._parent = psutil.Process(pid)
        self._had_any = False
        self._last_seen = self._last_look = time.monotonic()

    def are_lost(self) -> bool:
        """Looks as often as is of use: a look reads the table of processes."""
        now = time.monotonic()
        if now - self._last_look < BEREFT_SECONDS / 5:
            return False
        self._last_look = now
        try:
            has_any = any(
                child.status() != psutil.STATUS_ZOMBIE for child in self._parent.children()
            )
        except psutil.NoSuchProcess:
            return False
        if has_any:
            self._had_any, self._last_seen = True, now
        return self._had_any and now - self._last_seen > BEREFT_SECONDS


def _end(process: psutil.Process) -> None:
    # It may end by itself at any moment, also just before the harder signal.
    with contextlib.suppress(psutil.NoSuchProcess):
        try:
            process.terminate()
            process.wait(ENDING_SECONDS)
        except psutil.TimeoutExpired:
            process.kill()
            process.wait()
