"""How assets are partitioned, and why.

Belongs here: partition definitions and the mappings between them. There are two kinds only. Days
for raw sources, because a day is what a source delivers and what is run again when it was wrong.
Model versions for everything that holds vectors, because vectors of two models never mix. No
asset is partitioned by both: a day's increment lives in the data, not in a product of keys.
"""

from __future__ import annotations

import dagster as dg

from vector_platform.settings import Settings


def daily(settings: Settings) -> dg.DailyPartitionsDefinition:
    """Days since `start_date`, in the schedules' time zone, the current day included.

    `end_offset=1` opens today's partition today: a newcomer's first run lands now, not tomorrow.
    """
    return dg.DailyPartitionsDefinition(
        start_date=settings.start_date.isoformat(),
        timezone=settings.schedules.timezone,
        end_offset=1,
    )


def model_versions(settings: Settings) -> dg.StaticPartitionsDefinition:
    """The active model versions of `platform.yaml`.

    Static, so that a new entry requests only itself and a retired one stops being requested.
    """
    return dg.StaticPartitionsDefinition(list(settings.active_models))


def after_all(key: dg.AssetKey) -> dg.AssetDep:
    """A dependency on every partition of an asset that is partitioned otherwise.

    Always written out: the mapping Dagster would infer loads and runs, but never fires.
    """
    return dg.AssetDep(key, partition_mapping=dg.AllPartitionMapping())
