"""Jobs that make, replace and retire model versions.

Belongs here: `align_model`, `replace_alignment` and `retire_model`, around plain functions.
"""

# Dagster reads the types of parameters as they are, so no postponed annotations here.
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import dagster as dg
import pyarrow as pa

from vector_platform.lake.decisions import Decisions
from vector_platform.models import local_versions
from vector_platform.models.errors import ModelError
from vector_platform.orchestration import keys
from vector_platform.orchestration.models.assets import EmbedOutcome, embed, embed_contents
from vector_platform.orchestration.partitions import follow_models
from vector_platform.orchestration.quality.assets import evaluate_model
from vector_platform.orchestration.runs.jobs import AskedFor, JobConfig, ModelVersion, one_op_job
from vector_platform.orchestration.runs.retries import TRIED_AGAIN
from vector_platform.releases.pointer.following import sync_followers
from vector_platform.releases.requests.replacement import take_over
from vector_platform.training import provisional
from vector_platform.training.workshop import Workshop
from vector_platform.wiring import NotConfigured, Platform


class AlignConfig(JobConfig):
    """Whose vectors to align, and into which model's space.

    Attributes:
        old: Model version whose vectors are in the lake.
        new: Model version that is to be served.
    """

    old: ModelVersion
    new: ModelVersion


class ReplaceConfig(JobConfig):
    """Which provisional model version to replace by its true one.

    Attributes:
        model_version: The provisional one, `new~from-old`.
    """

    model_version: ModelVersion


class RetireConfig(AskedFor):
    """Which model version to retire, and why.

    Attributes:
        model_version: One that the platform made.
    """

    model_version: ModelVersion


@one_op_job("align", pool="lake_embeddings")
def align_model(
    context: dg.OpExecutionContext, config: AlignConfig, platform: dg.ResourceParam[Platform]
) -> dict[str, Any]:
    """Build the provisional version of a new model from an old one's stored vectors.

    A map between the two is fitted, judged on held-out contents and applied; then the indexes
    are built.
    """
    name = make_alignment(platform, config.old, config.new, context.run_id, context.log.info)
    facts = index_model(platform, name, context)
    return {
        "model_version": name,
        "trial": local_versions.read_card(platform.data_dir, name),
        **facts,
    }


@one_op_job("replace", pool="promote", tags=TRIED_AGAIN)
def replace_alignment(
    context: dg.OpExecutionContext, config: ReplaceConfig, platform: dg.ResourceParam[Platform]
) -> str:
    """Serve a model's true vectors, once complete, where readers see aligned ones.

    Then the provisional version is retired, and its generations are dropped.
    """
    told = put_in_place(platform, config.model_version, context.run_id, context.log.info)
    follow_models(platform, context.instance)
    context.log.info(told)
    return told


@one_op_job("retire")
def retire_model(
    context: dg.OpExecutionContext, config: RetireConfig, platform: dg.ResourceParam[Platform]
) -> dict[str, str]:
    """Stop embedding and indexing a model version that the platform made itself.

    Its vectors stay in the lake.
    """
    name = config.model_version
    local_versions.retire_model(platform.data_dir, name)
    decisions = Decisions(platform.lake, run_id=context.run_id)
    if not decisions.about(name, what="retire"):
        decisions.record("retire", name, actor=config.actor, why=config.reason, after="retired")
    follow_models(platform, context.instance)
    return {"model_version": name, "state": "retired"}


@contextmanager
def workshop(platform: Platform) -> Iterator[Workshop]:
    """What model versions are made with; the settings follow those that were made."""
    yield Workshop(platform.lake, platform.settings, platform.embedder, platform.weights_of)
    platform.follow_local_versions()


def make_alignment(
    platform: Platform, old: str, new: str, run_id: str, log: Callable[[str], None]
) -> str:
    """Make the provisional model version `new~from-old`. Returns its name."""

    def embed_with_new(contents: Iterable[pa.RecordBatch]) -> None:
        _trusted(embed_contents(platform, new, contents, run_id, log), new)

    with workshop(platform) as shop:
        return provisional.make_alignment(
            shop, old, new, embed=embed_with_new, run_id=run_id, log=log
        )


def _trusted(done: EmbedOutcome, model_version: str) -> None:
    """Go on only when the model answered its canaries as registered."""
    if done.verdict is not None and not done.verdict.passed:
        raise ModelError(
            model_version,
            f"{done.verdict.canaries_differing} of its {done.verdict.canaries} canaries got other "
            "vectors than at registration: restore the model, or give it a new name",
        )


def index_model(
    platform: Platform, model_version: str, context: dg.OpExecutionContext
) -> dict[str, Any]:
    """Vectors, proven generations and an evaluation of a model version that is new here.

    Its partition is registered first, so that whatever a kill leaves undone is done by
    automation, and materialised by this run, so that the rest of it (the checks) costs little.
    """
    follow_models(platform, context.instance)
    settings, run_id = platform.settings, context.run_id
    done = embed(platform, model_version, run_id, context.log.info)
    _trusted(done, model_version)
    facts: dict[str, Any] = {"texts": done.report.texts, "aligned": done.aligned}
    _materialised(context, keys.placed(keys.EMBEDDINGS, settings), model_version, facts)
    for backend in settings.indexes.backends:
        sync = platform.index_sync(backend, run_id=run_id, progress=context.log.info)
        newest = sync_followers(sync, platform.live_pointer(backend), model_version)[-1]
        _materialised(context, keys.index(backend, settings), model_version, newest.facts())
        facts[backend] = newest.generation.generation
    if settings.golden_queries:
        found = evaluate_model(platform, model_version, run_id)
        _materialised(context, keys.placed(keys.RETRIEVAL, settings), model_version, found)
        facts[settings.quality.evaluation_metric] = found[settings.quality.evaluation_metric]
    return facts


def put_in_place(
    platform: Platform, model_version: str, run_id: str, log: Callable[[str], None]
) -> str:
    """Put the true model version in a provisional one's place; says what was done."""
    spec = platform.settings.models.get(model_version)
    if spec is None or spec.aligned is None:
        raise NotConfigured(f"{model_version} is no aligned model version")
    if spec.retired:
        return f"{model_version} is retired already"
    backends = platform.settings.indexes.backends
    waits = take_over(
        platform.lake,
        (platform.release_service(name, run_id=run_id, progress=log) for name in backends),
        model_version,
        spec.aligned.target,
        log,
    )
    if waits:
        return waits
    local_versions.retire_model(platform.data_dir, model_version)
    platform.follow_local_versions()
    for backend in backends:
        sync = platform.index_sync(backend, run_id=run_id, progress=log)
        for old in platform.live_pointer(backend).collectable(replaced=[model_version]):
            sync.drop(old)
    target = spec.aligned.target
    return f"{model_version} is retired: {target} has vectors of its own for every content"


def _materialised(
    context: dg.OpExecutionContext, key: dg.AssetKey, partition: str, facts: dict[str, Any]
) -> None:
    context.log_event(dg.AssetMaterialization(asset_key=key, partition=partition, metadata=facts))
