"""Chunks: the documents of the marts, split into passages.

Belongs here: the asset `lake/chunks`. Does not belong here: how documents are split (`corpus`).
"""

# Dagster reads the types of parameters as they are, so no postponed annotations here.
import dagster as dg

from vector_platform.corpus.chunks import sync_chunks
from vector_platform.lake.contract import CHUNKS
from vector_platform.orchestration import keys
from vector_platform.orchestration.automation import follow_corpus
from vector_platform.orchestration.columns import table_metadata
from vector_platform.orchestration.inputs import INPUTS, chunk_inputs
from vector_platform.orchestration.retries import retry_by_type
from vector_platform.settings import Settings
from vector_platform.wiring import Platform


def build_chunks_asset(settings: Settings) -> dg.AssetsDefinition:
    """The asset `lake/chunks`, unpartitioned: one table for all models to read."""

    @dg.asset(
        key=keys.CHUNKS,
        owners=[f"team:{settings.owner}"],
        deps=[keys.DOCUMENTS],
        group_name="lake",
        kinds={"delta", "python"},
        description=CHUNKS.description,
        metadata=table_metadata(CHUNKS, f"{settings.lake_uri}/{CHUNKS.name}"),
        automation_condition=follow_corpus(settings),
        pool="lake_chunks",
        code_version="1",
    )
    def chunks(
        context: dg.AssetExecutionContext, platform: dg.ResourceParam[Platform]
    ) -> dg.MaterializeResult:
        lake = platform.lake
        inputs = chunk_inputs(platform)
        with retry_by_type():
            report = sync_chunks(
                lake.documents, lake.chunks, platform.chunker, run_id=context.run_id
            )
        version = lake.chunks.version()
        return dg.MaterializeResult(
            metadata={**report.facts(), "lake_version": version, INPUTS: inputs},
            data_version=dg.DataVersion(f"chunks@{version}"),
        )

    return chunks
