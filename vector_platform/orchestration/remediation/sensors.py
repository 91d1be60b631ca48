"""Sensors: event, then action. Thin shells over pure decisions.

Belongs here: the automation sensor, and one sensor for each action that answers failed checks.
"""

# Dagster reads the types of parameters as they are, so no postponed annotations here.
from collections.abc import Callable, Mapping

import dagster as dg

from vector_platform.orchestration import keys
from vector_platform.orchestration.corpus.quarantine_jobs import quarantine_config
from vector_platform.orchestration.dagster_internals import get_current_datetime
from vector_platform.orchestration.remediation.jobs import reindex_config, repair_config
from vector_platform.orchestration.remediation.recalibration import recalibrate_config
from vector_platform.orchestration.remediation.reembedding import reembed_config
from vector_platform.orchestration.remediation.retraining import retrain_config
from vector_platform.orchestration.remediation.ticks import react
from vector_platform.remediation.decision import PlannedRun
from vector_platform.remediation.reactions import SENSORS, Sensor, answered_by
from vector_platform.wiring import Platform

# Run tags are short: of a storm, the first measurements are named, and all of them in `decisions`.
_TAGGED_EVALUATIONS = 5


# What a job is told about the run that it answers. A sensor without a job starts nothing.
_CONFIGS: Mapping[str, Callable[[PlannedRun, str], dg.RunConfig]] = {
    "reembed": reembed_config,
    "repair_index": repair_config,
    "reindex": reindex_config,
    "retrain": retrain_config,
    "recalibrate_reference": recalibrate_config,
    "quarantine_slice": quarantine_config,
}


def build_sensors(
    jobs: Mapping[str, dg.JobDefinition], *, every_seconds: int
) -> list[dg.SensorDefinition]:
    """All sensors, running by default: a platform that must be switched on does not follow.

    Args:
        jobs: Jobs that sensors may start, by name.
        every_seconds: How often they look.
    """
    automation = dg.AutomationConditionSensorDefinition(
        "follow_the_lake",
        target=dg.AssetSelection.all(),
        default_status=dg.DefaultSensorStatus.RUNNING,
        minimum_interval_seconds=every_seconds,
        description="Runs every asset whose automation condition holds.",
    )
    reactions = (_reaction_sensor(one, jobs, every_seconds) for one in SENSORS)
    return [automation, *reactions]


def _reaction_sensor(
    answer: Sensor, jobs: Mapping[str, dg.JobDefinition], every_seconds: int
) -> dg.SensorDefinition:
    @dg.sensor(
        name=answer.name,
        job=jobs[answer.job] if answer.job else None,
        default_status=dg.DefaultSensorStatus.RUNNING,
        minimum_interval_seconds=every_seconds,
        description=answer.description,
    )
    def sensor(
        context: dg.SensorEvaluationContext, platform: dg.ResourceParam[Platform]
    ) -> dg.SensorResult:
        tick = react(
            answered_by(answer),
            actor=answer.name,
            platform=platform,
            instance=context.instance,
            now=get_current_datetime(),
            per_model=answer.per_model,
        )
        requests = [_request(run, answer) for run in tick.runs]
        if requests:
            if tick.left:
                context.log.info(f"left as they are: {tick.describe_left()}")
            return dg.SensorResult(run_requests=requests)
        return dg.SensorResult(skip_reason=tick.describe_left())

    return sensor


def _request(run: PlannedRun, answer: Sensor) -> dg.RunRequest:
    assert answer.job is not None
    return dg.RunRequest(
        run_key=run.run_key,
        run_config=_CONFIGS[answer.job](run, answer.name),
        tags={
            keys.EVALUATION_TAG: ", ".join(run.evaluation_ids[:_TAGGED_EVALUATIONS]),
            keys.REASON_TAG: run.why,
        },
    )
