"""An asset of your own beside the platform's: change it, or remove it."""

import dagster as dg

from vector_platform.wiring import Platform


@dg.asset(
    deps=[dg.AssetKey(["lake", "chunks"])],
    group_name="own",
    kinds={"python"},
    description="How many chunks each tenant has.",
)
def chunks_by_tenant(platform: dg.ResourceParam[Platform]) -> dg.MaterializeResult:
    """Count the chunks of each tenant, and show the counts as metadata."""
    counts = platform.lake.count_tenants(platform.lake.snapshot())
    return dg.MaterializeResult(metadata={"tenants": len(counts), **counts})
