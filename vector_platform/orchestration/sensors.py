"""Sensors: event, then action. Thin shells over pure decisions.

Belongs here: the automation sensor, and one sensor for each action that answers failed checks.
Does not belong here: what is wrong and what fits it (`quality/diagnosis.py`), whether to act now
(`quality/acting.py`), or what a job does (`jobs.py`, `acting_jobs.py`).
"""

# Dagster reads the types of parameters as they are, so no postponed annotations here.
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import dagster as dg
from dagster._time import get_current_datetime

from vector_platform.orchestration import keys
from vector_platform.orchestration.acting_jobs import (
    recalibrate_config,
    reindex_config,
    repair_config,
)
from vector_platform.orchestration.quarantine_jobs import quarantine_config
from vector_platform.orchestration.reactions import react
from vector_platform.orchestration.reembedding import reembed_config
from vector_platform.orchestration.retraining import retrain_config
from vector_platform.quality.acting import PlannedRun
from vector_platform.quality.faults import Kind
from vector_platform.wiring import Platform

# Run tags are short: of a storm, the first measurements are named, and all of them in `decisions`.
_TAGGED_EVALUATIONS = 5


@dataclass(frozen=True)
class Reaction:
    """A sensor that answers some kinds of faults with one job.

    Attributes:
        name: The sensor.
        kinds: Faults that it answers.
        job: Name of the job it starts; None when only people can mend what is wrong.
        config: The job's configuration for a run.
        description: For the UI.
        per_model: One run for each model version, for jobs that take only one.
    """

    name: str
    kinds: tuple[Kind, ...]
    job: str | None
    config: Callable[[PlannedRun, str], dg.RunConfig] | None
    description: str
    per_model: bool = False


REACTIONS = (
    Reaction(
        "reembed_on_changed_model",
        ("model_changed",),
        "reembed",
        reembed_config,
        "Proposes a new model version when a model no longer answers as it was registered. Its "
        "own writes have stopped by then.",
    ),
    Reaction(
        "repair_on_divergence",
        ("index_diverged",),
        "repair_index",
        repair_config,
        "Rewrites what differs when an index no longer equals the lake.",
    ),
    Reaction(
        "reindex_on_lost_recall",
        ("recall_lost", "index_churned"),
        "reindex",
        reindex_config,
        "Builds a new generation when an index has lost recall on some slice, or carries too "
        "many deleted rows.",
    ),
    Reaction(
        "retrain_on_fallen_quality",
        ("quality_fell",),
        "retrain",
        retrain_config,
        "Trains a challenger when the champion finds less than at its release, although model and "
        "index are as they were.",
        per_model=True,
    ),
    Reaction(
        "recalibrate_on_drift",
        ("distribution_moved",),
        "recalibrate_reference",
        recalibrate_config,
        "Accepts a moved distribution as the new reference when everything else holds, if the "
        "policy says that no person has to.",
        per_model=True,
    ),
    Reaction(
        "quarantine_on_moved_slice",
        ("slice_moved",),
        "quarantine_slice",
        quarantine_config,
        "Tells the owner of a tenant or source whose content changed while all else is quiet. "
        "Keeps what changed from readers, if the policy says that no person has to.",
    ),
    Reaction(
        "tell_owners_of_bad_data",
        ("contract_broken", "ingest_damaged", "rows_refused"),
        None,
        None,
        "Records what only the owner of the data can mend. Starts nothing.",
    ),
)


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
    reactions = (_reaction_sensor(one, jobs, every_seconds) for one in REACTIONS)
    return [automation, *reactions]


def _reaction_sensor(
    reaction: Reaction, jobs: Mapping[str, dg.JobDefinition], every_seconds: int
) -> dg.SensorDefinition:
    @dg.sensor(
        name=reaction.name,
        job=jobs[reaction.job] if reaction.job else None,
        default_status=dg.DefaultSensorStatus.RUNNING,
        minimum_interval_seconds=every_seconds,
        description=reaction.description,
    )
    def sensor(
        context: dg.SensorEvaluationContext, platform: dg.ResourceParam[Platform]
    ) -> dg.SensorResult:
        tick = react(
            reaction.kinds,
            actor=reaction.name,
            platform=platform,
            instance=context.instance,
            now=get_current_datetime(),
            per_model=reaction.per_model,
        )
        requests = [_request(run, reaction) for run in tick.runs]
        if requests:
            if tick.left:
                context.log.info(f"left as they are: {tick.describe_left()}")
            return dg.SensorResult(run_requests=requests)
        return dg.SensorResult(skip_reason=tick.describe_left())

    return sensor


def _request(run: PlannedRun, reaction: Reaction) -> dg.RunRequest:
    assert reaction.config is not None
    return dg.RunRequest(
        run_key=run.run_key,
        run_config=reaction.config(run, reaction.name),
        tags={
            keys.EVALUATION_TAG: ", ".join(run.evaluation_ids[:_TAGGED_EVALUATIONS]),
            keys.REASON_TAG: run.why,
        },
    )
