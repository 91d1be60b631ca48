"""Sensors: event, then action. Thin shells over pure decisions.

Belongs here: the automation sensor, and one sensor for each action that answers failed checks.
"""

# Dagster reads the types of parameters as they are, so no postponed annotations here.
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import dagster as dg

from vector_platform.orchestration import keys
from vector_platform.orchestration.corpus.quarantine_jobs import quarantine_config, quarantine_slice
from vector_platform.orchestration.dagster_internals import get_current_datetime
from vector_platform.orchestration.remediation.jobs import reindex, reindex_config, repair_config
from vector_platform.orchestration.remediation.recalibration import (
    recalibrate_config,
    recalibrate_reference,
)
from vector_platform.orchestration.remediation.reembedding import reembed, reembed_config
from vector_platform.orchestration.remediation.retraining import retrain, retrain_config
from vector_platform.orchestration.remediation.ticks import react
from vector_platform.remediation.decision import PlannedRun
from vector_platform.remediation.reactions import REPAIR, SENSORS, Sensor, answered_by
from vector_platform.settings import Settings
from vector_platform.wiring import Platform

# Run tags are short: of a storm, the first measurements are named, and all of them in `decisions`.
_TAGGED_EVALUATIONS = 5


@dataclass(frozen=True)
class Answer:
    """The jobs by which sensors may answer.

    Attributes:
        jobs: One, or one for each backend.
        config: What it is told of a planned run, and by which sensor.
    """

    jobs: Sequence[dg.JobDefinition]
    config: Callable[[PlannedRun, str], dg.RunConfig]


# Those of any deployment. A repair has a job for each backend.
ANSWERS = (
    Answer([reembed], reembed_config),
    Answer([reindex], reindex_config),
    Answer([retrain], retrain_config),
    Answer([recalibrate_reference], recalibrate_config),
    Answer([quarantine_slice], quarantine_config),
)


def build_sensors(
    settings: Settings, jobs: Mapping[str, dg.JobDefinition], assets: dg.AssetSelection
) -> list[dg.SensorDefinition]:
    """All sensors, running by default: a platform that must be switched on does not follow.

    Args:
        settings: The deployment.
        jobs: Its jobs by name, as they are written here.
        assets: Its assets: those of others in the same project are not followed.
    """
    every_seconds = settings.schedules.sensor_seconds
    automation = dg.AutomationConditionSensorDefinition(
        keys.named("follow_the_lake", settings),
        target=assets,
        default_status=dg.DefaultSensorStatus.RUNNING,
        minimum_interval_seconds=every_seconds,
        description="Runs every asset whose automation condition holds.",
    )
    configs = {one.jobs[0].name: ([job.name for job in one.jobs], one.config) for one in ANSWERS}
    repairs = [REPAIR.job_of(backend) for backend in settings.indexes.backends]
    configs[REPAIR.job or ""] = (repairs, repair_config)
    answers = {
        name: Answer([jobs[job] for job in of], config) for name, (of, config) in configs.items()
    }
    reactions = (
        _reaction_sensor(settings, one, answers[one.job] if one.job else None) for one in SENSORS
    )
    return [automation, *reactions]


def _reaction_sensor(settings: Settings, one: Sensor, answer: Answer | None) -> dg.SensorDefinition:
    @dg.sensor(
        name=keys.named(one.name, settings),
        jobs=answer.jobs if answer else None,
        default_status=dg.DefaultSensorStatus.RUNNING,
        minimum_interval_seconds=settings.schedules.sensor_seconds,
        description=one.description,
    )
    @keys.of_platform(settings)
    def sensor(
        context: dg.SensorEvaluationContext, platform: dg.ResourceParam[Platform]
    ) -> dg.SensorResult:
        tick = react(
            answered_by(one),
            actor=one.name,
            platform=platform,
            instance=context.instance,
            now=get_current_datetime(),
            apart=one.apart,
        )
        requests = [_request(settings, run, answer, one) for run in tick.runs if answer]
        if requests:
            if tick.left:
                context.log.info(f"left as they are: {tick.describe_left()}")
            return dg.SensorResult(run_requests=requests)
        return dg.SensorResult(skip_reason=tick.describe_left())

    return sensor


def _request(settings: Settings, run: PlannedRun, answer: Answer, sensor: Sensor) -> dg.RunRequest:
    return dg.RunRequest(
        run_key=run.run_key,
        job_name=keys.named(sensor.job_of(run.scopes[0].backend), settings),
        run_config=answer.config(run, sensor.name),
        tags={
            keys.EVALUATION_TAG: ", ".join(run.evaluation_ids[:_TAGGED_EVALUATIONS]),
            keys.REASON_TAG: run.why,
        },
    )
