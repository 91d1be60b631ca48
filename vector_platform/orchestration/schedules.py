"""Schedules: what happens by the clock.

Belongs here: the daily ingest. The nightly sweep is part of the automation conditions.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import dagster as dg

from vector_platform.orchestration import keys
from vector_platform.orchestration.dagster_internals import UnresolvedAssetJobDefinition
from vector_platform.settings import Settings


def build_schedules(
    settings: Settings, ingest_day: UnresolvedAssetJobDefinition
) -> list[dg.ScheduleDefinition]:
    """The daily ingest, running by default."""

    @dg.schedule(
        name=keys.named("ingest_daily", settings),
        job=ingest_day,
        cron_schedule=settings.schedules.ingest_daily,
        execution_timezone=settings.schedules.timezone,
        default_status=dg.DefaultScheduleStatus.RUNNING,
        description="Lands the day that has ended, and late rows of the days before it.",
    )
    def ingest_daily(context: dg.ScheduleEvaluationContext) -> dg.RunRequest | dg.SkipReason:
        day = day_that_ended(context.scheduled_execution_time, settings)
        if day < settings.start_date.isoformat():
            return dg.SkipReason(f"{day} is before start_date {settings.start_date}")
        return dg.RunRequest(run_key=day, partition_key=day)

    return [ingest_daily]


def day_that_ended(now: datetime, settings: Settings) -> str:
    """Yesterday, in the schedules' time zone."""
    local = now.astimezone(ZoneInfo(settings.schedules.timezone))
    return (local - timedelta(days=1)).date().isoformat()
