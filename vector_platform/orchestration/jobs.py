"""Jobs: verbs that people, schedules and sensors launch.

Belongs here: thin ops around plain functions. `ingest_day` materialises assets; a rebuild acts on
an index, which is not what an asset's materialisation means, and ends in a release request. Does
not belong here: deciding over requests (`release_jobs.py`).
"""

# Dagster reads the types of parameters as they are, so no postponed annotations here.
from typing import Any

import dagster as dg
from dagster._core.definitions.unresolved_asset_job_definition import (
    UnresolvedAssetJobDefinition,
)

from vector_platform.orchestration import keys
from vector_platform.orchestration.checks.parity import proof_metadata
from vector_platform.orchestration.partitions import daily
from vector_platform.orchestration.retries import retry_by_type
from vector_platform.releases.gate_report import as_markdown
from vector_platform.settings import Settings
from vector_platform.wiring import Platform


class RebuildConfig(dg.Config):
    """What to rebuild, and why.

    Attributes:
        model_version: Whose index.
        backends: Which backends; all configured ones when empty.
        reason: Recorded with the release.
        actor: Who asked.
        automatic: Whether a sensor or a schedule asks, and not a person.
        allow_shrink: Let a release through that takes many rows away from readers.
    """

    model_version: str
    backends: list[str] = []
    reason: str = "asked for by hand"
    actor: str = "person"
    automatic: bool = False
    allow_shrink: bool = False


class RepairConfig(dg.Config):
    """What to repair.

    Attributes:
        model_version: Whose indexes; every active model version when empty.
        backends: Which backends; all configured ones when empty.
        allow_delete: Deletes let through the guard this once, in each index.
    """

    model_version: str = ""
    backends: list[str] = []
    allow_delete: int = 0


def build_ingest_job(settings: Settings) -> UnresolvedAssetJobDefinition:
    """`ingest_day`: every source's rows of one day."""
    return dg.define_asset_job(
        "ingest_day",
        selection=dg.AssetSelection.key_prefixes(["raw"]),
        partitions_def=daily(settings),
        description="Land one day of every source. What depends on it follows by itself.",
    )


def build_rebuild_job(settings: Settings) -> dg.JobDefinition:
    """`rebuild_index`: a new generation from the lake, and its release where its model is live."""

    @dg.op(pool="rebuild_index")
    def rebuild(
        context: dg.OpExecutionContext,
        config: RebuildConfig,
        platform: dg.ResourceParam[Platform],
    ) -> dict[str, Any]:
        built: dict[str, Any] = {}
        for backend in chosen_backends(settings, config.backends):
            with retry_by_type():
                desk = platform.release_desk(
                    backend, run_id=context.run_id, progress=context.log.info
                )
                report = desk.sync.build(config.model_version)
                gates: dict[str, Any] = {}
                live = desk.pointer.live()
                if live and live.model_version == config.model_version:
                    settled = desk.release(
                        report.generation,
                        actor=config.actor,
                        reason=config.reason,
                        automatic=config.automatic,
                        overrides={"shrink": config.reason} if config.allow_shrink else {},
                    )
                    context.log.info(f"{backend}: {settled.describe()}")
                    gates = {"release": settled.describe()}
                    if settled.report is not None:
                        gates["gates"] = dg.MetadataValue.md(as_markdown(settled.report))
            context.log_event(
                dg.AssetMaterialization(
                    asset_key=keys.index(backend, settings),
                    partition=config.model_version,
                    metadata={**report.facts(), **gates},
                )
            )
            built[backend] = report.generation.generation
        return built

    @dg.job(
        name="rebuild_index",
        # A sensor asks for a rebuild once; a backend that is away for longer than an op's own
        # retries must not be the end of it.
        tags={"dagster/max_retries": "3"},
        description="Build a new generation of a model version beside the live one, prove it "
        "equal to the lake, and ask for its release where that model is live.",
    )
    def rebuild_index() -> None:
        rebuild()

    return rebuild_index


def build_repair_job(settings: Settings) -> dg.JobDefinition:
    """`repair_index`: what differs from the lake is rewritten, nothing else, and proven."""

    @dg.op(pool="repair_index")
    def repair(
        context: dg.OpExecutionContext,
        config: RepairConfig,
        platform: dg.ResourceParam[Platform],
    ) -> dict[str, Any]:
        done: dict[str, Any] = {}
        asked = [config.model_version] if config.model_version else list(settings.active_models)
        for backend in chosen_backends(settings, config.backends):
            sync = platform.index_sync(backend, run_id=context.run_id, progress=context.log.info)
            for model_version in asked:
                with retry_by_type():
                    reports = [
                        sync.repair(state, allow_delete=config.allow_delete)
                        for state in platform.live_pointer(backend).following(model_version)
                    ]
                if not reports:
                    continue
                proof = reports[-1].verification
                assert proof is not None, "a repair compares in full and always proves"
                context.log_event(
                    dg.AssetMaterialization(
                        asset_key=keys.index(backend, settings),
                        partition=model_version,
                        metadata=reports[-1].facts(),
                    )
                )
                # Dagster takes it at any time; its annotation names only the other events.
                context.log_event(
                    dg.AssetCheckEvaluation(  # type: ignore[arg-type]
                        asset_key=keys.index(backend, settings),
                        check_name=keys.INDEX_MATCHES,
                        passed=True,
                        partition=model_version,
                        metadata=proof_metadata(proof),
                    )
                )
                done[f"{backend}/{model_version}"] = [report.facts() for report in reports]
        return done

    @dg.job(
        name="repair_index",
        description="Read indexes back, rewrite exactly what differs from the lake, and prove them "
        "equal to it. The way out of a failed check index_matches_lake.",
    )
    def repair_index() -> None:
        repair()

    return repair_index


def chosen_backends(settings: Settings, asked: list[str]) -> list[Any]:
    """The backends that a configuration names; all configured ones when it names none."""
    unknown = [name for name in asked if name not in settings.indexes.backends]
    if unknown:
        raise dg.Failure(f"backends not in platform.yaml: {', '.join(unknown)}")
    return asked or list(settings.indexes.backends)
