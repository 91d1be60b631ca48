"""Re-embedding: a model that was changed under its name becomes a model version of its own.

Belongs here: the job `reembed` around `training/reembedding.py`, and the order of its steps.

The old version is left as it is: what it has embedded while it answered as registered stays, and
readers stay on it. The new version is proposed, through the gates, like any other new model.
"""

# Dagster reads the types of parameters as they are, so no postponed annotations here.
from typing import Any

import dagster as dg

from vector_platform.orchestration.models.jobs import index_model, workshop
from vector_platform.orchestration.remediation.proposals import (
    ProposalConfig,
    ask_for_release,
    reasons_of,
)
from vector_platform.orchestration.runs.jobs import ModelVersions, one_op_job
from vector_platform.remediation.decision import PlannedRun
from vector_platform.training import reembedding
from vector_platform.wiring import Platform


class ReembedConfig(ProposalConfig):
    """Which models to give a new name.

    Attributes:
        model_versions: Model versions that no longer answer as registered.
    """

    model_versions: ModelVersions


def reembed_config(run: PlannedRun, actor: str) -> dg.RunConfig:
    """The configuration of `reembed` for a planned run."""
    config = ReembedConfig(
        model_versions=sorted({scope.model_version for scope in run.scopes}),
        **reasons_of(run, actor),
    )
    return dg.RunConfig({"propose": config})


@one_op_job("propose", pool="lake_embeddings")
def reembed(
    context: dg.OpExecutionContext, config: ReembedConfig, platform: dg.ResourceParam[Platform]
) -> dict[str, Any]:
    """Give a model that was changed under its name a new model version.

    The corpus is embedded with it, its indexes are built, and their release is asked for.
    """
    proposed: dict[str, Any] = {}
    for changed in config.model_versions:
        name = name_anew(platform, changed)
        facts = index_model(platform, name, context)
        facts["releases"] = ask_for_release(platform, name, config, context)
        proposed[changed] = {"model_version": name, **facts}
    return proposed


def name_anew(platform: Platform, changed: str) -> str:
    """A model version for what a model is now; the same weights get the same name again."""
    with workshop(platform) as shop:
        return reembedding.name_anew(shop, changed)
