"""Chunks: the documents of the marts, split into passages.

Belongs here: the asset `lake/chunks`, and cutting for whoever has changed what is cut.
"""

# Dagster reads the types of parameters as they are, so no postponed annotations here.
from collections.abc import Callable
from typing import Any

import dagster as dg

from vector_platform.corpus.chunks import sync_chunks
from vector_platform.lake.contract import CHUNKS
from vector_platform.lake.slices.quarantine import SliceQuarantine
from vector_platform.orchestration import keys
from vector_platform.orchestration.automation import follow_corpus
from vector_platform.orchestration.columns import table_metadata
from vector_platform.orchestration.inputs import INPUTS, chunk_inputs
from vector_platform.orchestration.runs.retries import retry_by_type
from vector_platform.quality.retrieval.golden_proposals import GoldenProposals
from vector_platform.settings import Settings
from vector_platform.wiring import Platform


def build_chunks_asset(settings: Settings) -> dg.AssetsDefinition:
    """The asset `lake/chunks`, unpartitioned: one table for all models to read."""

    @dg.asset(
        key=keys.placed(keys.CHUNKS, settings),
        owners=[f"team:{settings.owner}"],
        deps=[keys.placed(keys.DOCUMENTS, settings)],
        group_name="lake",
        kinds={"delta", "python"},
        description=CHUNKS.description,
        metadata=table_metadata(CHUNKS, f"{settings.lake_uri}/{CHUNKS.name}"),
        automation_condition=follow_corpus(settings),
        pool="lake_chunks",
        code_version="1",
    )
    @keys.of_platform(settings)
    def chunks(
        context: dg.AssetExecutionContext, platform: dg.ResourceParam[Platform]
    ) -> dg.MaterializeResult:
        with retry_by_type():
            version, metadata = cut_documents(platform, context.run_id, context.log.info)
        return dg.MaterializeResult(
            metadata=metadata, data_version=dg.DataVersion(f"chunks@{version}")
        )

    return chunks


def cut_documents(
    platform: Platform, run_id: str, say: Callable[[str], None] = lambda line: None
) -> tuple[int, dict[str, Any]]:
    """Make the chunks those of the documents. Returns their version, and what was done."""
    with platform.writing(CHUNKS.name, run_id=run_id, progress=say).held():
        return _cut(platform, run_id, say)


def _cut(platform: Platform, run_id: str, say: Callable[[str], None]) -> tuple[int, dict[str, Any]]:
    lake = platform.lake
    inputs = chunk_inputs(platform)
    report = sync_chunks(
        lake.documents,
        lake.chunks,
        platform.chunker,
        run_id=run_id,
        quarantined=[one.slice for one in SliceQuarantine(lake).open()],
        whole=platform.settings.whole_sources,
        say=say,
    )
    # Golden queries made from documents go with the text that they were made from.
    forgotten = GoldenProposals(lake, run_id=run_id).forget()
    version = lake.chunks.version()
    return version, {
        **report.facts(),
        "golden_queries_forgotten": forgotten,
        "lake_version": version,
        INPUTS: inputs,
    }
