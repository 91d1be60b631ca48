"""Jobs: verbs that people, schedules and sensors launch.

Belongs here: thin ops around plain functions. `ingest_day` materialises assets; a repair acts on
an index, which is not what an asset's materialisation means.
"""

# Dagster reads the types of parameters as they are, so no postponed annotations here.
from typing import Any

import dagster as dg

from vector_platform.orchestration import keys
from vector_platform.orchestration.dagster_internals import UnresolvedAssetJobDefinition
from vector_platform.orchestration.indexes.checks import proof_metadata
from vector_platform.orchestration.partitions import daily
from vector_platform.orchestration.runs.retries import retry_by_type
from vector_platform.remediation.checks import PARITY
from vector_platform.settings import BackendName, Settings
from vector_platform.wiring import Platform


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


def build_repair_job(settings: Settings) -> dg.JobDefinition:
    """`repair_index`: what differs from the lake is rewritten, nothing else, and proven."""

    @dg.op
    def repair(config: RepairConfig) -> dict[str, Any]:
        return config.model_dump() | {"backends": chosen_backends(settings, config.backends)}

    on_backends = [_repair_op(settings, backend) for backend in settings.indexes.backends]

    @dg.job(
        name="repair_index",
        description="Read indexes back, rewrite exactly what differs from the lake, and prove them "
        f"equal to it. The way out of a failed check {PARITY}.",
    )
    def repair_index() -> None:
        asked = repair()
        for repair_one in on_backends:
            repair_one(asked)

    return repair_index


def _repair_op(settings: Settings, backend: BackendName) -> dg.OpDefinition:
    """The repair of one backend, in the pool that its syncs are in: they would wait for it."""

    @dg.op(name=f"repair_{backend}", pool=keys.index_pool(backend))
    def repair_one(
        context: dg.OpExecutionContext, asked: dict[str, Any], platform: dg.ResourceParam[Platform]
    ) -> dict[str, Any]:
        done: dict[str, Any] = {}
        if backend not in asked["backends"]:
            return done
        platform.follow_local_versions()
        only = asked["model_version"]
        sync = platform.index_sync(backend, run_id=context.run_id, progress=context.log.info)
        for model_version in [only] if only else list(platform.settings.active_models):
            with retry_by_type():
                reports = [
                    sync.repair(state, allow_delete=asked["allow_delete"])
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
                    check_name=PARITY,
                    passed=True,
                    partition=model_version,
                    metadata=proof_metadata(proof),
                )
            )
            done[f"{backend}/{model_version}"] = [report.facts() for report in reports]
        return done

    return repair_one


def chosen_backends(settings: Settings, asked: list[str]) -> list[Any]:
    """The backends that a configuration names; all configured ones when it names none."""
    unknown = [name for name in asked if name not in settings.indexes.backends]
    if unknown:
        raise dg.Failure(f"backends not in platform.yaml: {', '.join(unknown)}")
    return asked or list(settings.indexes.backends)
