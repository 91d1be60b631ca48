"""Runs whose process was killed: ended by the next command, without a daemon.

Belongs here: finding and ending them. The daemon does the same for itself (`launcher.py`).
"""

from __future__ import annotations

import dagster as dg

from vector_platform.orchestration.runs.liveness import is_gone

GONE = "the process that executed this run is gone; what it had not done is done by the next run"


def end_abandoned_runs(instance: dg.DagsterInstance) -> list[str]:
    """Mark as failed every started run that no process executes. Returns their ids."""
    started = instance.get_runs(dg.RunsFilter(statuses=[dg.DagsterRunStatus.STARTED]))
    gone = [run for run in started if is_gone(instance, run.run_id)]
    for run in gone:
        instance.report_run_failed(run, GONE)
    return [run.run_id for run in gone]
