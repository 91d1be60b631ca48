"""Drift checks: has the distribution of new vectors moved? Never blocking.

Belongs here: `distribution_has_not_drifted` of every model version. Does not belong here: the
test (`quality/drift.py`) or the action (`sensors.py`). Too few new rows is a pass that says so.
"""

# Dagster reads the types of parameters as they are, so no postponed annotations here.
import dagster as dg

from vector_platform.orchestration import keys
from vector_platform.orchestration.partitions import model_versions
from vector_platform.orchestration.retries import retry_by_type
from vector_platform.quality.plots import as_markdown, projection
from vector_platform.quality.windows import Sample, judge, reference_and_current
from vector_platform.settings import Settings
from vector_platform.wiring import Platform


def build_drift_checks(settings: Settings) -> list[dg.AssetChecksDefinition]:
    """The drift check of `lake/embeddings`."""

    @dg.asset_check(
        asset=keys.EMBEDDINGS,
        name=keys.NO_DRIFT,
        partitions_def=model_versions(settings),
        description="The newest vectors come from the distribution of those before them "
        "(two-sample test with a permutation null).",
    )
    def distribution_has_not_drifted(
        context: dg.AssetCheckExecutionContext, platform: dg.ResourceParam[Platform]
    ) -> dg.AssetCheckResult:
        quality = platform.settings.quality
        with retry_by_type():
            sides = reference_and_current(
                platform.lake, context.partition_key, min_rows=quality.drift_min_rows
            )
            result = judge(*sides, alpha=quality.drift_alpha, min_rows=quality.drift_min_rows)
        facts = result.facts()
        return dg.AssetCheckResult(
            passed=not result.drifted,
            metadata={
                **{name: value for name, value in facts.items() if name != "farthest"},
                "farthest": dg.MetadataValue.json(facts["farthest"]),
                **_picture(*sides, title=f"{context.partition_key}: {result.outcome}"),
                "what_happens": "The sensor reindex_on_drift builds a new generation of the "
                "model's indexes, once for this evaluation."
                if result.drifted
                else f"Nothing: the outcome is {result.outcome!r}.",
            },
        )

    return [distribution_has_not_drifted]


def _picture(reference: Sample, current: Sample, *, title: str) -> dict[str, dg.MetadataValue]:
    """Both samples on two axes, where there are two samples."""
    if min(len(reference.vectors), len(current.vectors)) < 2:
        return {}
    picture = projection(reference.vectors, current.vectors, title=title)
    return {"picture": dg.MetadataValue.md(as_markdown(picture, title))}
