"""Checks of a model version: the shell that every one of them has.

Belongs here: what Dagster is told of such a check, and retrying it by the type of its error.
"""

# Dagster reads the types of parameters as they are, so no postponed annotations here.
from collections.abc import Callable
from typing import TypeAlias

import dagster as dg

from vector_platform.orchestration import keys
from vector_platform.orchestration.partitions import model_versions
from vector_platform.orchestration.runs.retries import retry_by_type
from vector_platform.orchestration.showing import arranged
from vector_platform.settings import Settings
from vector_platform.wiring import Platform

# (platform, model version, id of the run) -> the verdict.
Measure: TypeAlias = Callable[[Platform, str, str], dg.AssetCheckResult]


def model_check(
    settings: Settings, asset: dg.AssetKey, check: str
) -> Callable[[Measure], dg.AssetChecksDefinition]:
    """Make a function the check of a name on each partition of an asset.

    Args:
        settings: Of the deployment.
        asset: What is checked.
        check: Name of its record in `remediation/checks.py`.
    """

    def made(measure: Measure) -> dg.AssetChecksDefinition:
        @dg.asset_check(
            asset=keys.placed(asset, settings),
            partitions_def=model_versions(settings),
            **keys.declared(check),
        )
        @keys.of_platform(settings)
        def shell(
            context: dg.AssetCheckExecutionContext, platform: dg.ResourceParam[Platform]
        ) -> dg.AssetCheckResult:
            with retry_by_type():
                answer = measure(platform, context.partition_key, context.run.run_id)
            return arranged(check, answer)

        return shell

    return made
