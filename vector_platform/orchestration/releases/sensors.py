"""Sensors of the release service: reconcile what waits, monitor what is in its bake period.

Belongs here: thin shells that read the lake and name the run.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

import dagster as dg

from vector_platform.lake.decisions import Decisions, utc_now
from vector_platform.orchestration import keys
from vector_platform.orchestration.releases.jobs import MonitorConfig
from vector_platform.releases.gates.freezes import frozen_by
from vector_platform.releases.monitor.monitor import baking_release
from vector_platform.releases.requests.requests import ReleaseRequests
from vector_platform.settings import Settings
from vector_platform.wiring import Platform


def build_release_sensors(
    settings: Settings, reconcile_releases: dg.JobDefinition, monitor_releases: dg.JobDefinition
) -> list[dg.SensorDefinition]:
    """Both sensors, running by default."""

    @dg.sensor(
        name=keys.named("reconcile_waiting_releases", settings),
        job=reconcile_releases,
        default_status=dg.DefaultSensorStatus.RUNNING,
        minimum_interval_seconds=settings.schedules.sensor_seconds,
        description="Looks at open release requests again when the lake, the live generation, "
        "the calendar or a decision about one has changed, and every hour.",
    )
    @keys.of_platform(settings)
    def reconcile_waiting_releases(platform: dg.ResourceParam[Platform]) -> list[dg.RunRequest]:
        return [dg.RunRequest(run_key=key) for key in reconcile_keys(platform, utc_now())]

    @dg.sensor(
        name=keys.named("monitor_baking_releases", settings),
        job=monitor_releases,
        default_status=dg.DefaultSensorStatus.RUNNING,
        minimum_interval_seconds=settings.schedules.sensor_seconds,
        description="Measures a release that has just gone live beside the generation before it.",
    )
    @keys.of_platform(settings)
    def monitor_baking_releases(platform: dg.ResourceParam[Platform]) -> list[dg.RunRequest]:
        return [
            dg.RunRequest(
                run_key=key,
                run_config=dg.RunConfig({"monitor_op": MonitorConfig(backends=[backend])}),
            )
            for backend, key in monitor_keys(platform, utc_now())
        ]

    return [reconcile_waiting_releases, monitor_baking_releases]


def reconcile_keys(platform: Platform, now: datetime) -> Iterator[str]:
    """One run key for the state of the world, if a request is open in it.

    Everything that can let a waiting request move on is part of the key, so that each state of
    the world is looked at once, and a new one again. The hour is part of it, too: evidence and
    requests grow old, and a run that has failed must not be the last.
    """
    waiting = [
        request.request_id for request in ReleaseRequests(platform.lake).all() if request.open
    ]
    if not waiting:
        return
    policy = platform.settings.releases
    world = (
        f"chunks{platform.lake.chunks.version()}",
        f"releases{platform.lake.releases.version()}",
        # Sensors decide all the time; what they decide about other things changes nothing here.
        f"decisions{len(Decisions(platform.lake, run_id='').about(*waiting))}",
        *waiting,
        frozen_by(now, policy.freezes, policy.timezone) or "open",
        f"hour{int(now.timestamp() // 3600)}",
    )
    yield "reconcile:" + ":".join(world)


def monitor_keys(platform: Platform, now: datetime) -> Iterator[tuple[str, str]]:
    """(backend, run key) of every baking release; a new key each `monitor_every_minutes`."""
    policy = platform.settings.releases
    for backend in platform.settings.indexes.backends:
        live = platform.live_pointer(backend).live()
        release = baking_release(live, now, policy.bake_minutes)
        if release is not None:
            minutes = (now - release.released_at).total_seconds() / 60
            look = int(minutes // policy.monitor_every_minutes)
            yield backend, f"monitor:{backend}:{release.sequence}:{look}"
