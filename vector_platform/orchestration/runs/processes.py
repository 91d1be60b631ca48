"""The processes of a run: the one that executes it, and whatever that one starts.

Belongs here: telling them from others, and ending them.

A process that is killed leaves its children: a dbt build that still holds its database would be in
the way of the run that is started instead. They are known by a variable of their environment.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable

import dagster as dg
import psutil

from vector_platform.orchestration.runs.liveness import RUN_VARIABLE, holder

# A process that is killed is gone within this long, unless the system is stuck.
_DYING_SECONDS = 10.0


def end_process(instance: dg.DagsterInstance, run_id: str) -> bool:
    """End the process that executes a run, and all that it has started, if it is of this host."""
    pid = holder(instance, run_id)
    if pid is None or pid == os.getpid():
        return False
    with contextlib.suppress(psutil.NoSuchProcess):
        process = psutil.Process(pid)
        # So that it starts nothing more meanwhile.
        process.suspend()
        _kill([process, *process.children(recursive=True)])
    end_children(run_id)
    return True


def end_children(run_id: str) -> bool:
    """End what the process of a run has started. Whether anything was there."""
    children = started_by_runs().get(run_id, [])
    _kill(children)
    return bool(children)


def started_by_runs() -> dict[str, list[psutil.Process]]:
    """Processes of this host that the processes of runs have started, by run."""
    found: dict[str, list[psutil.Process]] = {}
    for process in psutil.process_iter():
        # Others' environments are theirs alone.
        with contextlib.suppress(psutil.Error, OSError):
            if run_id := process.environ().get(RUN_VARIABLE):
                found.setdefault(run_id, []).append(process)
    return found


def _kill(processes: Iterable[psutil.Process]) -> None:
    known = list(processes)
    for process in known:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
    psutil.wait_procs(known, _DYING_SECONDS)
