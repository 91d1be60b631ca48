"""Index assets: each backend brought to the lake's newest snapshot, per model version.

Belongs here: `milvus/documents` and `pinecone/documents`. These assets never move the live
pointer; a release does. They do tidy up after it, so that the nightly sweep ends what a killed
release began and drops what grew too old.
"""

# Dagster reads the types of parameters as they are, so no postponed annotations here.
from typing import Any

import dagster as dg

from vector_platform.indexes.contract import Mirrored
from vector_platform.indexes.sync.report import SyncReport
from vector_platform.orchestration import keys
from vector_platform.orchestration.automation import follow_corpus
from vector_platform.orchestration.partitions import model_versions
from vector_platform.orchestration.runs.jobs import JobConfig
from vector_platform.orchestration.runs.retries import retry_by_type
from vector_platform.releases.pointer.cutover import Cutover
from vector_platform.releases.pointer.following import sync_followers
from vector_platform.settings import BackendName, Settings
from vector_platform.wiring import Platform


class IndexConfig(JobConfig):
    """What a person may say when launching a sync by hand.

    Attributes:
        allow_delete: Deletes let through the guard this once.
    """

    allow_delete: int = 0


def build_index_assets(settings: Settings) -> list[dg.AssetsDefinition]:
    """One asset a configured backend."""
    return [_index_asset(settings, backend) for backend in settings.indexes.backends]


def _index_asset(settings: Settings, backend: BackendName) -> dg.AssetsDefinition:
    @dg.asset(
        key=keys.index(backend, settings),
        owners=[f"team:{settings.owner}"],
        deps=[keys.placed(keys.EMBEDDINGS, settings)],
        partitions_def=model_versions(settings),
        group_name=backend,
        kinds={backend},
        description=f"The index on {backend.capitalize()}, built from a snapshot of chunks and "
        "embeddings and from nothing else. Each model version has generations of its own.",
        automation_condition=follow_corpus(settings),
        pool=keys.index_pool(backend),
        code_version="1",
    )
    @keys.of_platform(settings)
    def index(
        context: dg.AssetExecutionContext,
        config: IndexConfig,
        platform: dg.ResourceParam[Platform],
    ) -> dg.MaterializeResult:
        with retry_by_type():
            sync = platform.index_sync(backend, run_id=context.run_id, progress=context.log.info)
            pointer = platform.live_pointer(backend)
            reports = sync_followers(
                sync, pointer, context.partition_key, allow_delete=config.allow_delete
            )
            collected = Cutover(pointer, platform.target(backend), sync).tidy_up()
        newest = reports[-1]
        return dg.MaterializeResult(
            metadata={
                **newest.facts(),
                **forecast_metadata(newest),
                "generations_synced": len(reports),
                "generations_collected": len(collected),
                **alias_metadata(pointer.mirrored),
                "summary": dg.MetadataValue.md(_summary(reports)),
            },
            data_version=dg.DataVersion(str(newest.generation.snapshot)),
        )

    return index


def alias_metadata(mirrored: Mirrored | None) -> dict[str, Any]:
    """How far the backend's own aliases follow the live generation, where there is one."""
    if mirrored is None:
        return {}
    return {"aliases": mirrored.aliases, "tenants_without_alias": mirrored.without}


def forecast_metadata(report: SyncReport) -> dict[str, Any]:
    """What `index plan` would have said before the sync, beside what the sync did."""
    if report.forecast is None:
        return {}
    return {"plan": dg.MetadataValue.json(report.forecast.facts())}


def _summary(reports: list[SyncReport]) -> str:
    lines = [
        "| generation | mode | why | rows | upserted | deleted | seconds |",
        "|---|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {r.generation.generation} | {r.mode} | {r.reason} | {r.generation.rows} "
        f"| {r.upserted} | {r.deleted} | {r.seconds:.2f} |"
        for r in reports
    ]
    # Proofs are sentences: below the table, where they have the whole width.
    lines += [
        f"\n{r.generation.generation} equals {r.generation.snapshot}: "
        f"{r.verification.describe() if r.verification else 'already proven'}"
        for r in reports
    ]
    return "\n".join(lines)
