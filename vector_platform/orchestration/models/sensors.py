"""Sensors of model versions: which there are, and when a provisional one has done its service.

Belongs here: `follow_model_versions` and `replace_when_complete`.
"""

# Dagster reads the types of parameters as they are, so no postponed annotations here.
from collections.abc import Collection
from datetime import datetime

import dagster as dg

from vector_platform.lake.lake import Lake
from vector_platform.orchestration import keys
from vector_platform.orchestration.dagster_internals import get_current_datetime
from vector_platform.orchestration.models.jobs import ReplaceConfig
from vector_platform.orchestration.partitions import model_versions, unregistered
from vector_platform.settings import Settings
from vector_platform.wiring import Platform

# A look costs the hashes of the lake when it has changed and once an hour, else two log files.
SENSOR_SECONDS = 60


def build_model_sensors(
    settings: Settings, replace_alignment: dg.JobDefinition
) -> list[dg.SensorDefinition]:
    """`follow_model_versions` and `replace_when_complete`, running by default."""

    @dg.sensor(
        name=keys.named("replace_when_complete", settings),
        job=replace_alignment,
        default_status=dg.DefaultSensorStatus.RUNNING,
        minimum_interval_seconds=SENSOR_SECONDS,
        description="Puts a model's true vectors in the place of aligned ones as soon as every "
        "content has one.",
    )
    @keys.of_platform(settings)
    def replace_when_complete(
        context: dg.SensorEvaluationContext, platform: dg.ResourceParam[Platform]
    ) -> dg.SensorResult | dg.SkipReason:
        # Versions may have been made since the code location was loaded.
        platform.follow_local_versions()
        provisional = provisional_versions(platform.settings)
        if not provisional:
            return dg.SkipReason("no model version is provisional")
        state = world_of(platform, provisional, get_current_datetime())
        if context.cursor == state:
            return dg.SkipReason("nothing was embedded or released since the last look")
        requests = [
            dg.RunRequest(
                run_key=f"replace:{name}:{state}",
                run_config=dg.RunConfig({"replace": ReplaceConfig(model_version=name)}),
            )
            for name, target in provisional.items()
            if is_complete(platform.lake, target)
        ]
        return dg.SensorResult(run_requests=requests, cursor=state)

    @dg.sensor(
        name=keys.named("follow_model_versions", settings),
        target=None,
        default_status=dg.DefaultSensorStatus.RUNNING,
        minimum_interval_seconds=settings.schedules.sensor_seconds,
        description="Registers the partitions of model versions that were made, and removes those "
        "of retired ones. Whoever makes or retires one does it at once; this closes what is left.",
    )
    @keys.of_platform(settings)
    def follow_model_versions(
        context: dg.SensorEvaluationContext, platform: dg.ResourceParam[Platform]
    ) -> dg.SensorResult | dg.SkipReason:
        platform.follow_local_versions()
        found = unregistered(platform, context.instance)
        if not found.added and not found.removed:
            return dg.SkipReason("every active model version is a partition, and no other one")
        partitions = model_versions(platform.settings)
        return dg.SensorResult(
            dynamic_partitions_requests=[
                partitions.build_add_request(list(found.added)),
                partitions.build_delete_request(list(found.removed)),
            ]
        )

    return [follow_model_versions, replace_when_complete]


def world_of(platform: Platform, provisional: Collection[str], now: datetime) -> str:
    """The state of the world that a replacement depends on: each is looked at once.

    A replacement may wait for an approval, and is finished when that has moved a pointer. The hour
    is part of it, too: runs that have failed must not be the last.
    """
    live = [
        release.generation
        for backend in platform.settings.indexes.backends
        if (release := platform.live_pointer(backend).live())
    ]
    hour = f"hour{int(now.timestamp() // 3600)}"
    return " ".join([str(platform.lake.snapshot()), *provisional, *live, hour])


def provisional_versions(settings: Settings) -> dict[str, str]:
    """Active aligned model versions, and the ones that they stand in for."""
    return {
        name: model.aligned.target
        for name, model in settings.active_models.items()
        if model.aligned is not None
    }


def is_complete(lake: Lake, model_version: str) -> bool:
    """Whether every content of the newest chunks has a vector under a model version."""
    return lake.count_missing(model_version, lake.snapshot()) == 0
