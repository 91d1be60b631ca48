"""The sensor that starts retries which were lost.

Belongs here: what makes the daemon look once more at a run that it should have retried.

Dagster stores the event that a run has failed before it stores that in the run itself. Its daemon
reads the event, asks the run whether to retry it, and never looks at that event again. When it
asks between the two, as after a restart, or when the code server does not answer at that moment,
the retry is lost for ever. Reporting the failure once more makes it look again.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

import dagster as dg

from vector_platform.orchestration.dagster_internals import (
    AUTO_RETRY_RUN_ID_TAG,
    WILL_RETRY_TAG,
    get_current_datetime,
)

# So long the daemon has to start a retry by itself: it looks every five seconds.
PATIENCE = timedelta(seconds=30)
# A run that failed longer ago has been followed by others that do the same work.
HORIZON = timedelta(hours=6)
# Failures of one run that are reported in all; then a person looks.
REPORTS = 4
# What the daemon writes when it could not ask for the retry; it then never tries again.
_NOT_ASKED = "Failed to retry run"
# Its error for a run that was killed after its last step.
_NOTHING_LEFT = "DagsterInvalidSubsetError"
_LOOKED_AT = 50


def build_run_sensors(*, every_seconds: int) -> list[dg.SensorDefinition]:
    """The sensor, running by default.

    Args:
        every_seconds: How often it looks.
    """

    @dg.sensor(
        target=None,
        default_status=dg.DefaultSensorStatus.RUNNING,
        minimum_interval_seconds=every_seconds,
        description="Starts the retry of a killed run where the daemon has missed it.",
    )
    def start_lost_retries(context: dg.SensorEvaluationContext) -> dg.SkipReason:
        lost = report_lost_retries(context.instance, get_current_datetime())
        if not lost:
            return dg.SkipReason("no retry is missing")
        return dg.SkipReason(f"reported again, so that they are retried: {', '.join(lost)}")

    return [start_lost_retries]


def report_lost_retries(instance: dg.DagsterInstance, now: datetime) -> list[str]:
    """Report the failure of each run again whose retry is missing. Returns their ids."""
    lost = list(_lost(instance, now))
    for run in lost:
        instance.add_run_tags(run.run_id, {WILL_RETRY_TAG: "true"})
        instance.report_run_failed(run, "reported again, because its retry was not started")
    return [run.run_id for run in lost]


def _lost(instance: dg.DagsterInstance, now: datetime) -> Iterator[dg.DagsterRun]:
    failed = dg.RunsFilter(statuses=[dg.DagsterRunStatus.FAILURE], updated_after=now - HORIZON)
    for record in instance.get_run_records(failed, limit=_LOOKED_AT):
        run = record.dagster_run
        if record.update_timestamp > now - PATIENCE or AUTO_RETRY_RUN_ID_TAG in run.tags:
            continue
        if run.tags.get(WILL_RETRY_TAG) != "true" and not _not_asked(instance, run):
            continue
        group = instance.get_run_group(run.run_id)
        if any(one.parent_run_id == run.run_id for one in (group[1] if group else ())):
            continue
        reports = instance.all_logs(run.run_id, of_type=dg.DagsterEventType.RUN_FAILURE)
        if len(reports) < REPORTS:
            yield run


def _not_asked(instance: dg.DagsterInstance, run: dg.DagsterRun) -> bool:
    said = instance.all_logs(run.run_id, of_type=dg.DagsterEventType.ENGINE_EVENT)
    data = [
        one.dagster_event.event_specific_data
        for one in said
        if one.message == _NOT_ASKED and one.dagster_event is not None
    ]
    errors = [error for one in data if (error := getattr(one, "error", None)) is not None]
    return bool(data) and all(error.cls_name != _NOTHING_LEFT for error in errors)
