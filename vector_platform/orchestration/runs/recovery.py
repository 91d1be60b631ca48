"""Runs whose process was killed are ended, and processes whose run has ended.

Belongs here: finding and ending them, for the next command and for a sensor of the daemon. The
daemon does the same for started runs by itself (`launcher.py`); of a run that is only starting it
knows nothing but the time.
"""

from __future__ import annotations

import time

import dagster as dg

from vector_platform.orchestration.runs.liveness import UNDER_WAY, held_runs, is_gone, is_held
from vector_platform.orchestration.runs.processes import (
    end_children,
    end_process,
    started_by_runs,
)

GONE = "the process that executed this run is gone; what it had not done is done by the next run"

# A process has this long to end after its run has ended, however that came.
LEAVING_SECONDS = 60.0


def end_abandoned_runs(instance: dg.DagsterInstance) -> list[str]:
    """Mark as failed every run that nothing goes on with any more. Returns their ids."""
    under_way = instance.get_runs(dg.RunsFilter(statuses=list(UNDER_WAY)))
    gone = [run for run in under_way if is_gone(instance, run.run_id)]
    for run in gone:
        instance.report_run_failed(run, GONE)
    return [run.run_id for run in gone]


def end_stray_processes(instance: dg.DagsterInstance, now: float | None = None) -> list[str]:
    """End processes that go on although their run has ended. Returns the ids of the runs.

    A run that was told to end and did not, or that was given up by mistake: another run does its
    work, and two must not. And what a process that was killed had started.
    """
    latest = (time.time() if now is None else now) - LEAVING_SECONDS
    ended = []
    for run_id in sorted({*held_runs(instance), *started_by_runs()}):
        record = instance.get_run_record_by_id(run_id)
        if record is None or not record.dagster_run.is_finished:
            continue
        if is_held(instance, run_id):
            is_stray = (record.end_time or 0.0) < latest and end_process(instance, run_id)
        else:
            # What a run that succeeded has left running, it has left on purpose.
            is_stray = not record.dagster_run.is_success and end_children(run_id)
        ended += [run_id] if is_stray else []
    return ended
