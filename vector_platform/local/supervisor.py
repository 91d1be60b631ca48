"""Processes that are kept running: whichever ends is started again.

Belongs here: starting them, starting them again, and ending what a supervisor that was killed has
left behind.
"""

from __future__ import annotations

import json
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import psutil
from filelock import FileLock, Timeout

from vector_platform.errors import TerminalError
from vector_platform.local.service_records import ProcessIdentity

# A process that ended is started again after this long, twice as long each time it did not last.
FIRST_PAUSE_SECONDS = 1.0
LONGEST_PAUSE_SECONDS = 30.0
LASTED_SECONDS = 60.0
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
    """

    def __init__(
        self, commands: Mapping[str, Sequence[str]], *, folder: Path, say: Callable[[str], None]
    ) -> None:
        self._commands = commands
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
            process = subprocess.Popen(
                self._commands[name], stdin=subprocess.DEVNULL, start_new_session=True
            )
            self._remember(name, process)
            while process.poll() is None and not self._stopping.wait(0.2):
                pass
            if self._stopping.is_set():
                if process.poll() is None:
                    _end(psutil.Process(process.pid))
                process.wait()
                return
            lasted = time.monotonic() - started > LASTED_SECONDS
            pause = FIRST_PAUSE_SECONDS if lasted else pause
            self._say(f"{name} ended ({process.returncode}); it is started again")
            self._stopping.wait(pause)
            pause = min(2 * pause, LONGEST_PAUSE_SECONDS)

    def _remember(self, name: str, process: subprocess.Popen[bytes]) -> None:
        with self._recording:
            self._running[name] = process.pid
            known = [[pid, self._commands[one][1:]] for one, pid in self._running.items()]
            self._record.write_text(json.dumps(known), encoding="utf-8")

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


def _end(process: psutil.Process) -> None:
    try:
        process.terminate()
        process.wait(ENDING_SECONDS)
    except psutil.TimeoutExpired:
        process.kill()
        process.wait()
    except psutil.NoSuchProcess:
        pass
