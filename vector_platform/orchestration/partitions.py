"""How assets are partitioned, and why.

Belongs here: partition definitions, the mappings between them, and registering model versions.
There are two kinds only. Days for raw sources, because a day is what a source delivers and what is
run again when it was wrong. Model versions for everything that holds vectors, because vectors of
two models never mix. No asset is partitioned by both: a day's increment lives in the data, not in a
product of keys.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import date

import dagster as dg

from vector_platform.errors import TerminalError
from vector_platform.settings import Settings
from vector_platform.wiring import Platform


class DayOutOfRange(TerminalError):
    """A day that is not a partition: before `start_date` or in the future."""


def daily(settings: Settings) -> dg.DailyPartitionsDefinition:
    """Days since `start_date`, in the schedules' time zone, the current day included.

    `end_offset=1` opens today's partition today: a newcomer's first run lands now, not tomorrow.
    """
    return dg.DailyPartitionsDefinition(
        start_date=settings.start_date.isoformat(),
        timezone=settings.schedules.timezone,
        end_offset=1,
    )


def require_days(settings: Settings, day: date, since: date | None) -> None:
    """See that the days to land are partitions.

    Raises:
        DayOutOfRange: One is not.
    """
    first, earliest = settings.start_date, min(since or day, day)
    if earliest < first:
        raise DayOutOfRange(
            f"{earliest} is before start_date {first} of platform.yaml. What is older than that "
            "lands with the first run, as late; for partitions of its own, set start_date earlier"
        )
    if since is not None and since > day:
        raise DayOutOfRange(f"{since} is after {day}, the last day")


def model_versions(settings: Settings) -> dg.DynamicPartitionsDefinition:
    """The active model versions: those of `platform.yaml`, and those the platform made itself.

    Dynamic, because versions are made and retired while the code location is loaded: a new one
    requests only itself, a retired one is no longer requested. The name is that of the deployment,
    so that two platforms in one Dagster instance do not get each other's versions.
    """
    return dg.DynamicPartitionsDefinition(name=f"{_deployment(settings)}/model_versions")


def follow_models(platform: Platform, instance: dg.DagsterInstance) -> None:
    """Take in the versions that were made or retired, here and in the Dagster instance.

    Called by whoever makes or retires one, and by the command line before it runs anything. A
    sensor does the same for what a killed process has left undone. Never at import.
    """
    platform.follow_local_versions()
    definition, found = model_versions(platform.settings), unregistered(platform, instance)
    assert definition.name is not None
    if found.added:
        instance.add_dynamic_partitions(definition.name, list(found.added))
    for model_version in found.removed:
        instance.delete_dynamic_partition(definition.name, model_version)


@dataclass(frozen=True)
class Unregistered:
    """What the Dagster instance does not know yet.

    Attributes:
        added: Active model versions that are no partition.
        removed: Partitions whose model version is retired, or gone from `platform.yaml`.
    """

    added: tuple[str, ...]
    removed: tuple[str, ...]


def unregistered(platform: Platform, instance: dg.DagsterInstance) -> Unregistered:
    """How the partitions of an instance differ from the active model versions."""
    name = model_versions(platform.settings).name
    assert name is not None
    known, active = instance.get_dynamic_partitions(name), platform.settings.active_models
    return Unregistered(
        tuple(one for one in active if one not in known),
        tuple(one for one in known if one not in active),
    )


def _deployment(settings: Settings) -> str:
    """The index's name, and where the lake is: two deployments never share a lake."""
    lake = hashlib.sha256(settings.lake_uri.encode()).hexdigest()[:8]
    return f"{settings.indexes.name}-{lake}"


def after_all(key: dg.AssetKey) -> dg.AssetDep:
    """A dependency on every partition of an asset that is partitioned otherwise.

    Always written out: the mapping Dagster would infer loads and runs, but never fires.
    """
    return dg.AssetDep(key, partition_mapping=dg.AllPartitionMapping())
