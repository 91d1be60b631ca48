"""Whether the process that executes a run is still there: a lock that ends with its process.

Belongs here: taking that lock, and asking for it.

The operating system lets go of a lock when its holder ends, however it ends. So there is no
process id that another process could have been given since, no start time that moves with the
clock, and no heartbeat that a busy process misses. It holds between containers that share the
folder of the instance, where process ids mean nothing.
"""

from __future__ import annotations

import time
from pathlib import Path

import dagster as dg
from filelock import FileLock, Timeout

# A run is started a moment before its process has the lock. Whoever has none after that is gone.
TAKING_SECONDS = 30.0

# Locks of this process: let go of when it ends, so that a run is alive until its end is recorded.
_held: dict[str, FileLock] = {}


def hold(instance: dg.DagsterInstance, run_id: str) -> None:
    """Say that this process executes a run, until `let_go` or the end of the process."""
    file = _file(instance, run_id)
    file.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(file, thread_local=False)
    lock.acquire(timeout=TAKING_SECONDS)  # somebody may just be asking for it
    _held[run_id] = lock
    for other in file.parent.iterdir():
        run = instance.get_run_by_id(other.name)
        if run is not None and run.is_finished:
            other.unlink(missing_ok=True)


def let_go(run_id: str) -> None:
    """Say that this process no longer executes a run."""
    if (lock := _held.pop(run_id, None)) is not None:
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


def is_gone(instance: dg.DagsterInstance, run_id: str) -> bool:
    """Whether a run is started and no process executes it."""
    record = instance.get_run_record_by_id(run_id)
    if record is None or record.dagster_run.status is not dg.DagsterRunStatus.STARTED:
        return False
    if is_held(instance, run_id):
        return False
    if _file(instance, run_id).exists():
        return True
    return time.time() - (record.start_time or 0.0) > TAKING_SECONDS


def _file(instance: dg.DagsterInstance, run_id: str) -> Path:
    return Path(instance.storage_directory()).parent / "alive" / run_id
