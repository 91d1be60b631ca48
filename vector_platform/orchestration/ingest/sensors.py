"""Landing by arrival: files that have changed are landed now, and not next morning.

Belongs here: the sensor of sources with `watch: true`. What has arrived is what the file system
dates after the source's last landing, so nothing has to be remembered, and files that came while
the daemon was down are seen.
"""

# Dagster reads the types of parameters as they are, so no postponed annotations here.
from collections.abc import Iterator
from datetime import datetime

import dagster as dg

from vector_platform.orchestration import keys
from vector_platform.orchestration.dagster_internals import (
    UnresolvedAssetJobDefinition,
    get_current_datetime,
)
from vector_platform.orchestration.schedules import day_that_ended
from vector_platform.settings import FilesSource, Settings
from vector_platform.sources.files.source import FilesReader
from vector_platform.sources.landing.landed import last_landing
from vector_platform.wiring import Platform


def build_arrival_sensors(
    settings: Settings, ingest_day: UnresolvedAssetJobDefinition
) -> list[dg.SensorDefinition]:
    """`land_what_arrives`, where a source asks for it."""
    watched = [
        name
        for name, spec in settings.sources.items()
        if isinstance(spec, FilesSource) and spec.watch
    ]
    if not watched:
        return []

    @dg.sensor(
        name=keys.named("land_what_arrives", settings),
        job=ingest_day,
        default_status=dg.DefaultSensorStatus.RUNNING,
        minimum_interval_seconds=settings.schedules.sensor_seconds,
        description="Lands a source as soon as its files have changed.",
    )
    @keys.of_platform(settings)
    def land_what_arrives(
        context: dg.SensorEvaluationContext, platform: dg.ResourceParam[Platform]
    ) -> dg.SensorResult | dg.SkipReason:
        day = day_that_ended(get_current_datetime(), settings)
        if day < settings.start_date.isoformat():
            return dg.SkipReason(f"{day} is before start_date {settings.start_date}")
        requests = [
            dg.RunRequest(
                run_key=f"arrived:{name}:{arrived.isoformat()}",
                partition_key=day,
                asset_selection=[keys.placed(keys.raw(name), settings)],
            )
            for name, arrived in arrivals(platform, watched)
        ]
        return dg.SensorResult(run_requests=requests) if requests else dg.SkipReason("no new file")

    return [land_what_arrives]


def arrivals(platform: Platform, sources: list[str]) -> Iterator[tuple[str, datetime]]:
    """Sources with files that are newer than their last landing, and the time of the newest."""
    for name in sources:
        reader = platform.source(name)
        assert isinstance(reader, FilesReader)
        newest, landed = reader.newest(), last_landing(platform.lake.landings, name)
        if newest is not None and (landed is None or newest > landed):
            yield name, newest
