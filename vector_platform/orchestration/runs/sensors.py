"""The sensor that recovers what the daemon does not find by itself.

Belongs here: when it looks, and which retries are missing. Runs that died while they were starting,
and processes that outlived their run, are in `recovery.py`.

Dagster stores the event that a run has failed before it stores that in the run itself. Its daemon
reads the event, asks the run whether to retry it, and never looks at that event again. When it
asks between the two, as after a restart, or when the code server does not answer at that moment,
the retry is lost for ever. Reporting the failure once more makes it look again.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

import dagster as dg

from vector_platform.orchestration import keys
from vector_platform.orchestration.dagster_internals import (
    AUTO_RETRY_RUN_ID_TAG,
    RETRY_ON_ASSET_OR_OP_FAILURE_TAG,
    RUN_FAILURE_REASON_TAG,
    WILL_RETRY_TAG,
    RunFailureReason,
    get_current_datetime,
)
from vector_platform.orchestration.runs.instance import LOOK_SECONDS
from vector_platform.orchestration.runs.recovery import end_abandoned_runs, end_stray_processes
from vector_platform.settings import Settings

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


@dataclass(frozen=True)
class FailedRun:
    """What is known of a run that failed.

    Attributes:
        updated: When anything was last written about the run itself.
        is_promised: Dagster says that it retries the run.
        is_refused: The daemon tried to, could not, and does not try again by itself.
        has_retry: There is a run that goes on with it, whoever asked for it.
        reports: How often its failure was reported.
    """

    updated: datetime
    is_promised: bool
    is_refused: bool
    has_retry: bool
    reports: int


def is_lost(run: FailedRun, now: datetime) -> bool:
    """Whether the retry of a run is missing, and asking once more can bring it."""
    waited = now - run.updated
    return (
        PATIENCE <= waited <= HORIZON
        and (run.is_promised or run.is_refused)
        and not run.has_retry
        and run.reports < REPORTS
    )


def build_run_sensors(settings: Settings) -> list[dg.SensorDefinition]:
    """The sensor, running by default, which looks as often as the daemon does for started runs."""

    @dg.sensor(
        name=keys.named("recover_lost_runs", settings),
        target=None,
        default_status=dg.DefaultSensorStatus.RUNNING,
        minimum_interval_seconds=LOOK_SECONDS,
        description="Ends runs that died while they were starting, and processes that outlived "
        "their run; starts the retry of a killed run where the daemon has missed it.",
    )
    def recover_lost_runs(context: dg.SensorEvaluationContext) -> dg.SkipReason:
        instance = context.instance
        done = {
            "ended, because their processes are gone": end_abandoned_runs(instance),
            "processes ended, because their runs had": end_stray_processes(instance),
            "reported again, so that they are retried": report_lost_retries(
                instance, get_current_datetime()
            ),
        }
        said = [f"{what}: {', '.join(runs)}" for what, runs in done.items() if runs]
        return dg.SkipReason("; ".join(said) or "no run is lost")

    return [recover_lost_runs]


def report_lost_retries(instance: dg.DagsterInstance, now: datetime) -> list[str]:
    """Report the failure of each run again whose retry is missing. Returns their ids."""
    lost = [run for run, known in _failed_runs(instance, now) if is_lost(known, now)]
    for run in lost:
        instance.add_run_tags(run.run_id, {WILL_RETRY_TAG: "true"})
        instance.report_run_failed(run, "reported again, because its retry was not started")
    return [run.run_id for run in lost]


def _failed_runs(
    instance: dg.DagsterInstance, now: datetime
) -> Iterator[tuple[dg.DagsterRun, FailedRun]]:
    """The runs that failed lately and could be retried, each with what is known of it."""
    failed = dg.RunsFilter(statuses=[dg.DagsterRunStatus.FAILURE], updated_after=now - HORIZON)
    for record in instance.get_run_records(failed):
        run = record.dagster_run
        # A run of the command line has nobody who could start it again.
        if AUTO_RETRY_RUN_ID_TAG in run.tags or run.remote_job_origin is None:
            continue
        is_promised = run.tags.get(WILL_RETRY_TAG) == "true"
        # To read a run's events costs a file, and most that failed were never to be retried.
        is_refused = not is_promised and _is_retried(run) and _is_refused(instance, run)
        if not is_promised and not is_refused:
            continue
        group = instance.get_run_group(run.run_id)
        reports = instance.all_logs(run.run_id, of_type=dg.DagsterEventType.RUN_FAILURE)
        yield (
            run,
            FailedRun(
                updated=record.update_timestamp,
                is_promised=is_promised,
                is_refused=is_refused,
                has_retry=any(
                    one.parent_run_id == run.run_id for one in (group[1] if group else ())
                ),
                reports=len(reports),
            ),
        )


def _is_retried(run: dg.DagsterRun) -> bool:
    """Whether a run that failed as this one did is ever retried."""
    failed_in_a_step = run.tags.get(RUN_FAILURE_REASON_TAG) == RunFailureReason.STEP_FAILURE.value
    return not failed_in_a_step or run.tags.get(RETRY_ON_ASSET_OR_OP_FAILURE_TAG) == "true"


def _is_refused(instance: dg.DagsterInstance, run: dg.DagsterRun) -> bool:
    said = instance.all_logs(run.run_id, of_type=dg.DagsterEventType.ENGINE_EVENT)
    data = [
        one.dagster_event.event_specific_data
        for one in said
        if one.message == _NOT_ASKED and one.dagster_event is not None
    ]
    errors = [error for one in data if (error := getattr(one, "error", None)) is not None]
    return bool(data) and all(error.cls_name != _NOTHING_LEFT for error in errors)
