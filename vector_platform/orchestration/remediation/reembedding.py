"""Re-embedding: a model that was changed under its name becomes a model version of its own.

Belongs here: the job `reembed` and the order of its steps.

The old version is left as it is: what it has embedded while it answered as registered stays, and
readers stay on it. The new version is proposed, through the gates, like any other new model.
"""

# Dagster reads the types of parameters as they are, so no postponed annotations here.
from typing import Any

import dagster as dg

from vector_platform.models.local_versions import keep_model, write_card
from vector_platform.orchestration.models.jobs import index_model
from vector_platform.orchestration.remediation.proposals import (
    ProposalConfig,
    ask_for_release,
    reasons_of,
)
from vector_platform.orchestration.runs.retries import retry_by_type
from vector_platform.remediation.decision import PlannedRun
from vector_platform.wiring import NotConfigured, Platform

# Room that the suffix of a proposed version leaves of a name's 48 characters.
BASE_NAME_LENGTH = 36


class ReembedConfig(ProposalConfig):
    """Which models to give a new name.

    Attributes:
        model_versions: Model versions that no longer answer as registered.
    """

    model_versions: list[str]


def reembed_config(run: PlannedRun, actor: str) -> dg.RunConfig:
    """The configuration of `reembed` for a planned run."""
    config = ReembedConfig(
        model_versions=sorted({scope.model_version for scope in run.scopes}),
        **reasons_of(run, actor),
    )
    return dg.RunConfig({"propose": config})


def build_reembed_job() -> dg.JobDefinition:
    """`reembed`: changed weights under a name of their own, embedded, indexed and proposed."""

    @dg.op(pool="lake_embeddings")
    def propose(
        context: dg.OpExecutionContext,
        config: ReembedConfig,
        platform: dg.ResourceParam[Platform],
    ) -> dict[str, Any]:
        proposed: dict[str, Any] = {}
        for changed in config.model_versions:
            with retry_by_type():
                name = name_anew(platform, changed)
                facts = index_model(platform, name, context)
                facts["releases"] = ask_for_release(platform, name, config, context)
            proposed[changed] = {"model_version": name, **facts}
        return proposed

    @dg.job(
        name="reembed",
        description="Give a model that was changed under its name a new model version, embed the "
        "corpus with it, build its indexes and ask for their release.",
    )
    def reembed() -> None:
        propose()

    return reembed


def name_anew(platform: Platform, changed: str) -> str:
    """A model version for what a model is now; the same weights get the same name again.

    Raises:
        NotConfigured: It has no weights of its own to name.
    """
    spec = platform.settings.models[platform.embedder(changed).name]
    if spec.bases:
        raise NotConfigured(f"{changed} is made from {', '.join(spec.bases)}: name those anew")
    digest = platform.embedder(changed).fingerprint.digest
    card = {"made_by": "reembed", "of": changed, "fingerprint": digest}
    name = f"{changed[:BASE_NAME_LENGTH]}.re-{digest[:8]}"
    keep_model(
        platform.data_dir,
        name,
        settings=spec.model_dump(mode="json", exclude_defaults=True)
        | {"description": f"{changed} as it answers since it was changed under its name."},
        fill=lambda folder: write_card(folder, card),
    )
    platform.follow_local_versions()
    return name
