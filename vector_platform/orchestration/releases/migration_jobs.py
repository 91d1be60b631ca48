"""The job that moves the live model to another backend.

Belongs here: a thin op around `releases/requests/migration.py`.
"""

# Dagster reads the types of parameters as they are, so no postponed annotations here.
from typing import Any

import dagster as dg

from vector_platform.orchestration.indexes.jobs import chosen_backends
from vector_platform.orchestration.runs.jobs import AskedFor, Backend, one_op_job
from vector_platform.quality.recall.shadow import ShadowQuery
from vector_platform.releases.requests.migration import migrate
from vector_platform.releases.requests.policy import overrides_of
from vector_platform.wiring import Platform


class MigrateConfig(AskedFor):
    """From which backend to which, and whether it is to be released there.

    Attributes:
        source: Backend that serves now.
        target: Backend to build on.
        k: Hits to compare.
        release: Ask for the new backend's release afterwards.
        override_freeze: Reason to release during a freeze; empty to wait for its end.
    """

    source: Backend
    target: Backend
    k: int = 10
    release: bool = False
    override_freeze: str = ""


@one_op_job("migrate")
def migrate_index(
    context: dg.OpExecutionContext, config: MigrateConfig, platform: dg.ResourceParam[Platform]
) -> dict[str, Any]:
    """Build the live model's index on another backend, from the lake alone, and compare both.

    No pointer moves unless a release is asked for.
    """
    old, new = chosen_backends(platform.settings, [config.source, config.target])
    pointer = platform.live_pointer(old)
    report = migrate(
        old=platform.target(old),
        old_pointer=pointer,
        service=platform.release_service(new, run_id=context.run_id, progress=context.log.info),
        # What a release would be tried with, too.
        queries=[
            ShadowQuery(probe.text, probe.vector, probe.tenant)
            for probe in platform.probes(pointer.live_generation().model_version)
        ],
        k=config.k,
        tell=lambda report: context.log.info(report.describe()),
        release=config.release,
        actor=config.actor,
        reason=config.reason,
        overrides=overrides_of(config.override_freeze, ""),
    )
    return report.facts()
