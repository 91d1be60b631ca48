"""Embeddings: vectors of the contents that a model version has not seen yet.

Belongs here: the asset `lake/embeddings`, partitioned by model version. Does not belong here:
models and batching (`models`). Only missing contents are embedded, and every commit counts, so a
killed run resumes where it was.
"""

# Dagster reads the types of parameters as they are, so no postponed annotations here.
from collections.abc import Callable
from dataclasses import asdict
from datetime import UTC, datetime

import dagster as dg
import pyarrow as pa

from vector_platform.lake.contract import EMBEDDINGS, MODEL_VERSIONS, canonical_json
from vector_platform.lake.lake import run_metadata
from vector_platform.models.base import Embedder
from vector_platform.models.embed import EmbedReport, embed_missing
from vector_platform.orchestration import keys
from vector_platform.orchestration.automation import follow_chunks
from vector_platform.orchestration.columns import table_metadata
from vector_platform.orchestration.partitions import model_versions
from vector_platform.orchestration.retries import retry_by_type
from vector_platform.settings import Settings
from vector_platform.wiring import Platform


def build_embeddings_asset(settings: Settings) -> dg.AssetsDefinition:
    """The asset `lake/embeddings`."""

    @dg.asset(
        key=keys.EMBEDDINGS,
        owners=[f"team:{settings.owner}"],
        deps=[keys.CHUNKS],
        partitions_def=model_versions(settings),
        group_name="lake",
        kinds={"delta", "python"},
        description=EMBEDDINGS.description,
        metadata=table_metadata(EMBEDDINGS, f"{settings.lake_uri}/{EMBEDDINGS.name}"),
        automation_condition=follow_chunks(settings),
        pool="lake_embeddings",
        code_version="1",
    )
    def embeddings(
        context: dg.AssetExecutionContext, platform: dg.ResourceParam[Platform]
    ) -> dg.MaterializeResult:
        with retry_by_type():
            report = embed(platform, context.partition_key, context.run_id, context.log.info)
        snapshot = platform.lake.snapshot()
        price = platform.settings.models[context.partition_key].usd_per_million_tokens
        return dg.MaterializeResult(
            metadata={
                **asdict(report),
                "seconds": round(report.seconds, 3),
                "encode_seconds": round(report.encode_seconds, 3),
                "texts_per_second": round(report.texts_per_second, 1),
                "cost_usd": round(report.tokens * price / 1e6, 6),
                "lake_version": snapshot.embeddings,
                "snapshot": str(snapshot),
            },
            data_version=dg.DataVersion(str(snapshot)),
        )

    return embeddings


def embed(
    platform: Platform, model_version: str, run_id: str, log: Callable[[str], None]
) -> EmbedReport:
    """Register the model version and embed every content it lacks."""
    lake = platform.lake
    embedder = platform.embedder(model_version)
    lake.register_model(_registration(embedder, run_id))
    metadata = run_metadata(run_id, f"embed {model_version}")

    def commit(rows: pa.Table) -> None:
        lake.embeddings.append(rows, metadata)

    return embed_missing(
        embedder,
        lake.missing_contents(model_version, chunks_version=lake.chunks.version()),
        run_id=run_id,
        commit=commit,
        on_progress=lambda progress: log(
            f"{progress.texts} texts embedded, {progress.texts_per_second:.0f} a second"
        ),
    )


def _registration(embedder: Embedder, run_id: str) -> pa.Table:
    row = {
        "model_version": embedder.name,
        "fingerprint": embedder.fingerprint.digest,
        "dimension": embedder.dimension,
        "details": canonical_json(embedder.fingerprint.details),
        "registered_at": datetime.now(UTC),
        "run_id": run_id,
    }
    return pa.Table.from_pylist([row], schema=MODEL_VERSIONS.schema)
