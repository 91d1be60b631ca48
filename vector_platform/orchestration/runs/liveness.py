"""Whether the process that executes a run is still there: a lock that ends with its process.

Belongs here: taking that lock, and asking for it; and, of a run that is only being started,
whether who starts it is there.

The operating system lets go of a lock when its holder ends, however it ends. So there is no
process id that another process could have been given since, no start time that moves with the
clock, and no heartbeat that a busy process misses. It holds between containers that share the
folder of the instance, where process ids mean nothing.
"""

from __future__ import annotations

import json
import os
import socket
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import dagster as dg
from filelock import FileLock, Timeout

from vector_platform.errors import TerminalError
from vector_platform.orchestration.dagster_internals import GRPC_INFO_TAG

# Tag of a run: who starts it. It names the run, since a retry has the tags of the run before it.
LAUNCHER_TAG = "vector_platform/launcher"

# In the environment of whatever the process of a run starts: the run. No name of a setting.
RUN_VARIABLE = "RUN_OF_VECTOR_PLATFORM"

# A run is started a moment before its process has the lock, and starting a moment before it is
# known who starts it. Between them are writes to Dagster's database, which may be busy and is
# waited for as long as 30 seconds. Whoever has said nothing after twice that is gone.
TAKING_SECONDS = 60.0

# Of a run that a process is to go on with. One of the command line has its lock before it is
# recorded at all, so it may be gone before it is started.
UNDER_WAY = (
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
)

# A code server of this host, or one beside it, takes a connection within this long, or is busy.
_CONNECTING_SECONDS = 1.0

# Locks of this process: let go of when it ends, so that a run is alive until its end is recorded.
_held: dict[str, FileLock] = {}


class RunIsTaken(TerminalError):
    """A process executes this run, or did: no run is executed twice."""


def hold(instance: dg.DagsterInstance, run_id: str) -> None:
    """Say that this process executes a run, until `let_go` or the end of the process.

    Raises:
        RunIsTaken: Another process executes this run, or did.
    """
    file = _file(instance, run_id)
    file.parent.mkdir(parents=True, exist_ok=True)
    # It has its name only once it is locked: a file of that name that is free was let go of.
    unnamed = file.with_name(f".{run_id}")
    lock = FileLock(unnamed, thread_local=False)
    taken = RunIsTaken(f"run {run_id} is executed by another process, or was")
    try:
        lock.acquire(timeout=0)
    except Timeout as error:
        raise taken from error
    unnamed.write_text(f"{socket.gethostname()}:{os.getpid()}", encoding="utf-8")
    try:
        os.link(unnamed, file)
    except FileExistsError as error:
        lock.release()
        raise taken from error
    finally:
        unnamed.unlink()
    _held[run_id] = lock
    os.environ[RUN_VARIABLE] = run_id
    for other in file.parent.iterdir():
        other_id = other.name.removeprefix(".")
        run = instance.get_run_by_id(other_id)
        # One that has no name yet is being taken, maybe for a run that is not recorded yet.
        is_over = not other.name.startswith(".") if run is None else run.is_finished
        if is_over and not is_held(instance, other_id):
            other.unlink(missing_ok=True)


def let_go(run_id: str) -> None:
    """Say that this process no longer executes a run."""
    if (lock := _held.pop(run_id, None)) is not None:
        os.environ.pop(RUN_VARIABLE, None)
        lock.release()


def is_held(instance: dg.DagsterInstance, run_id: str) -> bool:
    """Whether a process says that it executes a run."""
    if run_id in _held:
        return True
    file = _file(instance, run_id)
    if not file.exists():
        return False
    try:
        with FileLock(file).acquire(timeout=0):
            return False
    except Timeout:
        return True


def holder(instance: dg.DagsterInstance, run_id: str) -> int | None:
    """Id of the process of this host that executes a run; None when there is none."""
    if not is_held(instance, run_id):
        return None
    # While the lock is held, the id is no other process's.
    host, _, pid = _file(instance, run_id).read_text(encoding="utf-8").rpartition(":")
    return int(pid) if host == socket.gethostname() else None


def held_runs(instance: dg.DagsterInstance) -> list[str]:
    """Ids of the runs that a process says it executes."""
    folder = _file(instance, "any").parent
    names = [file.name for file in folder.iterdir()] if folder.exists() else []
    # To ask for one that has no name yet would be in the way of who takes it.
    return [name for name in sorted(names) if name[0] != "." and is_held(instance, name)]


def is_gone(instance: dg.DagsterInstance, run_id: str) -> bool:
    """Whether a run is starting or started, and nothing that could go on with it is there."""
    record = instance.get_run_record_by_id(run_id)
    if record is None:
        return False
    status = record.dagster_run.status
    if _file(instance, run_id).exists():
        return status in UNDER_WAY and not is_held(instance, run_id)
    if status is dg.DagsterRunStatus.STARTED:
        return time.time() - (record.start_time or 0.0) > TAKING_SECONDS
    return status is dg.DagsterRunStatus.STARTING and _is_start_lost(instance, record.dagster_run)


def _is_start_lost(instance: dg.DagsterInstance, run: dg.DagsterRun) -> bool:
    """Whether the code server that was to start the process of a run is gone.

    One that is there says itself when a process it has started ends. The process of one that is
    gone may still be loading: Dagster lets it do nothing when its run has ended by then.
    """
    server, launcher = run.tags.get(GRPC_INFO_TAG), run.tags.get(LAUNCHER_TAG, "")
    host, _, of_run = launcher.rpartition(":")
    if not server or of_run != run.run_id:
        launched = instance.get_run_stats(run.run_id).launch_time or 0.0
        return time.time() - launched > TAKING_SECONDS
    # The name of a socket means nothing on another host.
    return host == socket.gethostname() and not _listens(json.loads(server))


def launcher_tags(run_id: str) -> dict[str, str]:
    """Tags of a run that this host is about to ask a code server to start."""
    return {LAUNCHER_TAG: f"{socket.gethostname()}:{run_id}", GRPC_INFO_TAG: ""}


def _listens(address: Mapping[str, Any]) -> bool:
    """Whether a server is there. Only a refusal says no: a busy one may not answer for long."""
    try:
        if path := address.get("socket"):
            with socket.socket(socket.AF_UNIX) as asked:
                asked.settimeout(_CONNECTING_SECONDS)
                asked.connect(path)
        else:
            there = (address["host"], address["port"])
            socket.create_connection(there, _CONNECTING_SECONDS).close()
    except (ConnectionRefusedError, FileNotFoundError):
        return False
    except OSError:
        return True
    return True


def _file(instance: dg.DagsterInstance, run_id: str) -> Path:
    return Path(instance.storage_directory()).parent / "alive" / run_id
