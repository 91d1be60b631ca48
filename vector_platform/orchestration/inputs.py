"""What a stage was last made from, and what it would be made from now.

Belongs here: the facts by which a stage is known to be current. They are lake versions and
settings, never clocks. A stage records them when, and only when, it has succeeded.
"""

from __future__ import annotations

import dagster as dg

from vector_platform.corpus.chunks import cut_version
from vector_platform.lake.contract import canonical_json
from vector_platform.lake.slices.quarantine import SliceQuarantine
from vector_platform.lake.slices.slices import name_slices
from vector_platform.quality.retrieval.golden_proposals import GoldenProposals
from vector_platform.wiring import Platform

INPUTS = "inputs"


def source_inputs(platform: Platform) -> dict[str, str]:
    """Of each source the version of its raw table and the mapping that staging applies to it."""
    return {
        name: canonical_json(
            [platform.lake.raw(name).identity(), spec.fields.model_dump(mode="json")]
        )
        for name, spec in platform.settings.sources.items()
    }


def staging_inputs(platform: Platform) -> str:
    """`source_inputs` of all sources, as one value."""
    return canonical_json(source_inputs(platform))


def chunk_inputs(platform: Platform) -> str:
    """Version of the documents and of the chunker, and what is in quarantine."""
    return canonical_json(
        {
            "documents": platform.lake.documents.identity(),
            "chunker": cut_version(platform.chunker, platform.settings.whole_sources),
            "quarantined": name_slices(one.slice for one in SliceQuarantine(platform.lake).open()),
        }
    )


def golden_inputs(platform: Platform) -> str:
    """Versions of the raw tables of golden queries, where they are read from, what was accepted."""
    golden = platform.settings.golden_queries
    return canonical_json(
        {
            "raw": {g.source: platform.lake.raw(g.source).identity() for g in golden.values()},
            "accepted": GoldenProposals(platform.lake, run_id="").accepted_ids(),
            "sets": {name: g.model_dump(mode="json") for name, g in golden.items()},
        }
    )


def retrieval_inputs(platform: Platform) -> str:
    """Versions of chunks, golden queries and the quarantine.

    A vector of a model changes for a content only by way of the quarantine.
    """
    return canonical_json(
        {
            "chunks": platform.lake.chunks.identity(),
            "golden_queries": platform.lake.golden_queries.identity(),
            "quarantine": platform.lake.quarantined_vectors.identity(),
        }
    )


def recorded(
    instance: dg.DagsterInstance, key: dg.AssetKey, partition: str | None = None
) -> str | None:
    """The inputs that the newest materialisation of an asset recorded; None without one."""
    records = instance.fetch_materializations(
        dg.AssetRecordsFilter(asset_key=key, asset_partitions=[partition] if partition else None),
        limit=1,
    ).records
    if not records or records[0].asset_materialization is None:
        return None
    value = records[0].asset_materialization.metadata.get(INPUTS)
    return str(value.value) if value is not None else None
