"""Retraining: from judgements to a new model version with a proven generation.

Belongs here: the job `retrain` around `training/retraining.py`.
"""

# Dagster reads the types of parameters as they are, so no postponed annotations here.
from collections.abc import Callable
from typing import Any

import dagster as dg

from vector_platform.orchestration.models.jobs import index_model, workshop
from vector_platform.orchestration.remediation.proposals import (
    ProposalConfig,
    ask_for_release,
    reasons_of,
)
from vector_platform.orchestration.runs.jobs import ModelVersion, one_op_job
from vector_platform.quality.retrieval.comparison import Comparison
from vector_platform.remediation.decision import PlannedRun
from vector_platform.training import retraining
from vector_platform.training.candidates import describe
from vector_platform.wiring import Platform


class RetrainConfig(ProposalConfig):
    """What to train.

    Attributes:
        model_version: The model version to improve; empty for the one that is live.
    """

    model_version: ModelVersion = ""


def retrain_config(run: PlannedRun, actor: str) -> dg.RunConfig:
    """The configuration of `retrain` for a planned run, which is of one model."""
    config = RetrainConfig(
        model_version=run.scopes[0].model_version,
        **reasons_of(run, actor),
    )
    return dg.RunConfig({"train": config})


@one_op_job("train", pool="lake_embeddings")
def retrain(
    context: dg.OpExecutionContext, config: RetrainConfig, platform: dg.ResourceParam[Platform]
) -> dict[str, Any]:
    """Train a new model version from golden queries and feedback.

    One that is better on every gated metric on held-out documents is embedded, indexed and
    proven; any other is refused with the numbers.
    """
    base = base_of(platform, config.model_version)
    name, comparisons = train_model(platform, base, context.log.info)
    facts = index_model(platform, name, context)
    releases = ask_for_release(platform, name, config, context)
    won = {metric: one.facts() for metric, one in comparisons.items()}
    context.log.info(f"{name} is built: {describe(comparisons)}")
    return {"model_version": name, "base": base, "won": won, "releases": releases, **facts}


def base_of(platform: Platform, asked: str) -> str:
    """The model version to start from: the asked or the live one's."""
    live = (platform.live_pointer(name).live() for name in platform.settings.indexes.backends)
    with workshop(platform) as shop:
        return retraining.base_of(shop, asked, (one.model_version for one in live if one))


def train_model(
    platform: Platform, base: str, log: Callable[[str], None]
) -> tuple[str, dict[str, Comparison]]:
    """A new model version that wins, and its comparison with the base, a metric each."""
    with workshop(platform) as shop:
        return retraining.train_model(shop, base, log)
