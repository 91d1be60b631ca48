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
from vector_platform.orchestration.runs.jobs import one_op_job
from vector_platform.orchestration.runs.retries import retry_by_type
from vector_platform.remediation.checks import PARITY
from vector_platform.settings import BackendName, Settings
from vector_platform.wiring import Platform


class RepairConfig(dg.Config):
    """What to repair.

    Attributes:
        model_version: Whose indexes; every active model version when empty.
        allow_delete: Deletes let through the guard this once, in each index.
    """

    model_version: str = ""
    allow_delete: int = 0


def build_ingest_job(settings: Settings) -> UnresolvedAssetJobDefinition:
    """`ingest_day`: every source's rows of one day."""
    return dg.define_asset_job(
        "ingest_day",
        selection=dg.AssetSelection.key_prefixes(["raw"]),
        partitions_def=daily(settings),
        description="Land one day of every source. What depends on it follows by itself.",
    )


def build_repair_jobs(settings: Settings) -> list[dg.JobDefinition]:
    """`repair_<backend>`: a job for each backend, in the pool of that backend alone.

    A run holds the pools of all its steps from its start to its end.
    """
    return [_repair_job(settings, backend) for backend in settings.indexes.backends]


def repair_op(backend: BackendName) -> str:
    """The op of a backend's repair; its name is its own, as Dagster wants it."""
    return f"repair_{backend}_op"


def _repair_job(settings: Settings, backend: BackendName) -> dg.JobDefinition:
    @one_op_job(repair_op(backend), job=f"repair_{backend}", pool=keys.index_pool(backend))
    def repair(
        context: dg.OpExecutionContext, config: RepairConfig, platform: dg.ResourceParam[Platform]
    ) -> dict[str, Any]:
        """Read indexes back, rewrite exactly what differs from the lake, and prove them equal."""
        done: dict[str, Any] = {}
        platform.follow_local_versions()
        only = config.model_version
        sync = platform.index_sync(backend, run_id=context.run_id, progress=context.log.info)
        for model_version in [only] if only else list(platform.settings.active_models):
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
                    check_name=PARITY,
                    passed=True,
                    partition=model_version,
                    metadata=proof_metadata(proof),
                )
            )
            done[model_version] = [report.facts() for report in reports]
        return done

    return repair


def chosen_backends(settings: Settings, asked: list[str]) -> list[Any]:
    """The backends that a configuration names; all configured ones when it names none."""
    unknown = [name for name in asked if name not in settings.indexes.backends]
    if unknown:
        raise dg.Failure(f"backends not in platform.yaml: {', '.join(unknown)}")
    return asked or list(settings.indexes.backends)
