"""Jobs that make and replace model versions.

Belongs here: `align_model` and `replace_alignment`, thin ops around plain functions.
"""

# Dagster reads the types of parameters as they are, so no postponed annotations here.
from collections.abc import Callable
from typing import Any

import dagster as dg
import pyarrow as pa

from vector_platform.models.errors import ModelError
from vector_platform.models.local_versions import read_card, retire_model
from vector_platform.models.registry import registration
from vector_platform.orchestration import keys
from vector_platform.orchestration.models.assets import EmbedOutcome, embed, embed_contents
from vector_platform.orchestration.partitions import follow_models
from vector_platform.orchestration.quality.assets import evaluate_model
from vector_platform.orchestration.runs.retries import TRIED_AGAIN, retry_by_type
from vector_platform.releases.pointer.following import sync_followers
from vector_platform.settings import Alignment
from vector_platform.training.alignment import keep_alignment, try_alignment
from vector_platform.training.alignment_sample import choose_sample
from vector_platform.wiring import NotConfigured, Platform


class AlignConfig(dg.Config):
    """Whose vectors to align, and into which model's space.

    Attributes:
        old: Model version whose vectors are in the lake.
        new: Model version that is to be served.
    """

    old: str
    new: str


class ReplaceConfig(dg.Config):
    """Which provisional model version to replace by its true one.

    Attributes:
        model_version: The provisional one, `new~from-old`.
    """

    model_version: str


def build_align_job() -> dg.JobDefinition:
    """`align_model`: a provisional version of a new model, from vectors in the lake."""

    @dg.op(pool="lake_embeddings")
    def align(
        context: dg.OpExecutionContext,
        config: AlignConfig,
        platform: dg.ResourceParam[Platform],
    ) -> dict[str, Any]:
        with retry_by_type():
            name = make_alignment(
                platform, config.old, config.new, context.run_id, context.log.info
            )
            facts = index_model(platform, name, context)
        return {"model_version": name, "trial": read_card(platform.data_dir, name), **facts}

    @dg.job(
        name="align_model",
        description="Fit a map from an old to a new model version, judge it on held-out contents, "
        "align the stored vectors and build the indexes of the provisional version.",
    )
    def align_model() -> None:
        align()

    return align_model


def build_replace_job() -> dg.JobDefinition:
    """`replace_alignment`: from a provisional version to the true one."""

    @dg.op(pool="promote")
    def replace(
        context: dg.OpExecutionContext,
        config: ReplaceConfig,
        platform: dg.ResourceParam[Platform],
    ) -> str:
        with retry_by_type():
            told = replace_alignment(
                platform, config.model_version, context.run_id, context.log.info
            )
        follow_models(platform, context.instance)
        context.log.info(told)
        return told

    @dg.job(
        name="replace_alignment",
        tags=TRIED_AGAIN,
        description="Once the true vectors of a model are complete: serve them where readers see "
        "the aligned ones, then retire the provisional version and drop its generations.",
    )
    def replace_alignment_job() -> None:
        replace()

    return replace_alignment_job


def make_alignment(
    platform: Platform, old: str, new: str, run_id: str, log: Callable[[str], None]
) -> str:
    """Make the provisional model version `new~from-old`. Returns its name.

    One that was made before is kept as it is: a model version is immutable.

    Raises:
        AlignmentRefused: The held-out contents say no; nothing is kept but true vectors.
    """
    for model_version in (old, new):
        if platform.settings.models[platform.embedder(model_version).name].bases:
            raise NotConfigured(f"{model_version} is made from other model versions itself")
    name = Alignment.model_validate({"from": old, "to": new}).name
    if name in platform.settings.models:
        return name
    lake, upgrades = platform.lake, platform.settings.upgrades
    lake.register_model(registration(platform.embedder(new), run_id))
    sample = choose_sample(lake, old, upgrades)
    contents = pa.concat_tables([sample.fitted, sample.held_out])
    missing = _without_vectors(platform, new, contents)
    _trusted(embed_contents(platform, new, missing, run_id, log), new)
    vector_map, trial = try_alignment(
        lake,
        platform.embedder(old),
        platform.embedder(new),
        sample,
        metric=platform.settings.quality.evaluation_metric,
    )
    log(f"{name}: {trial.describe()}")
    keep_alignment(
        platform.data_dir,
        platform.embedder(old),
        platform.embedder(new),
        vector_map,
        trial,
        floor=upgrades.alignment_floor,
    )
    platform.follow_local_versions()
    return name


def _trusted(done: EmbedOutcome, model_version: str) -> None:
    """Go on only when the model answered its canaries as registered."""
    if not done.verdict.passed:
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
    _materialised(context, keys.EMBEDDINGS, model_version, facts)
    for backend in settings.indexes.backends:
        sync = platform.index_sync(backend, run_id=run_id, progress=context.log.info)
        newest = sync_followers(sync, platform.live_pointer(backend), model_version)[-1]
        _materialised(context, keys.index(backend, settings), model_version, newest.facts())
        facts[backend] = newest.generation.generation
    if settings.golden_queries:
        found = evaluate_model(platform, model_version, run_id)
        _materialised(context, keys.RETRIEVAL, model_version, found)
        facts[settings.quality.evaluation_metric] = found[settings.quality.evaluation_metric]
    return facts


def replace_alignment(
    platform: Platform, model_version: str, run_id: str, log: Callable[[str], None]
) -> str:
    """Put the true model version in a provisional one's place; says what was done.

    While true vectors are missing, nothing changes.
    """
    spec = platform.settings.models.get(model_version)
    if spec is None or spec.aligned is None:
        raise NotConfigured(f"{model_version} is no aligned model version")
    if spec.retired:
        return f"{model_version} is retired already"
    lake, target = platform.lake, spec.aligned.target
    missing = lake.count_missing(target, lake.snapshot())
    if missing:
        return f"{model_version} stays: {missing} contents have no vector under {target} yet"
    waiting: list[str] = []
    for backend in platform.settings.indexes.backends:
        service = platform.release_service(backend, run_id=run_id, progress=log)
        state = service.context.sync.sync(target).generation
        live = service.context.pointer.live()
        if live is not None and live.model_version == model_version:
            reason = f"the true vectors of {target} are complete"
            reconciled = service.release(
                state,
                actor="replace_alignment",
                reason=reason,
                automatic=True,
                # Readers are on a stand-in for this very model: no approval, and too few queries
                # to tell the two apart, are no reason to stay there. A gate that fails stays shut.
                overrides={}
                if service.context.policy.approvers
                else {"undecided": reason, "approval": reason},
            )
            log(f"{backend}: {reconciled.describe()}")
            if not reconciled.moved:
                waiting.append(f"{backend} {reconciled.describe()}")
    if waiting:
        return f"{model_version} stays until its place is taken: {'; '.join(waiting)}"
    retire_model(platform.data_dir, model_version)
    platform.follow_local_versions()
    for backend in platform.settings.indexes.backends:
        sync = platform.index_sync(backend, run_id=run_id, progress=log)
        for old in platform.live_pointer(backend).collectable(replaced=[model_version]):
            sync.drop(old)
    return f"{model_version} is retired: {target} has vectors of its own for every content"


def _without_vectors(
    platform: Platform, model_version: str, contents: pa.Table
) -> list[pa.RecordBatch]:
    """Each content once that the model version has no vector for yet."""
    texts = dict(
        zip(
            contents.column("content_hash").to_pylist(),
            contents.column("text").to_pylist(),
            strict=True,
        )
    )
    known = platform.lake.vectors_of(model_version, sorted(texts)).column("content_hash")
    missing = sorted(set(texts) - set(known.to_pylist()))
    return [
        pa.RecordBatch.from_pydict(
            {"content_hash": missing, "text": [texts[one] for one in missing]},
            schema=pa.schema([("content_hash", pa.string()), ("text", pa.string())]),
        )
    ]


def _materialised(
    context: dg.OpExecutionContext, key: dg.AssetKey, partition: str, facts: dict[str, Any]
) -> None:
    context.log_event(dg.AssetMaterialization(asset_key=key, partition=partition, metadata=facts))
