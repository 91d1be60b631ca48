"""Retrieval checks: an index finds what is there, a model what people want. Never blocking.

Belongs here: `index_recall_holds` of every backend, and `retrieval_quality_holds`. Does not belong
here: the measures (`quality`) or the actions (`sensors.py`). A backend that does not answer is an
error, never a failed check.
"""

# Dagster reads the types of parameters as they are, so no postponed annotations here.
import dagster as dg

from vector_platform.indexes.state import GenerationState
from vector_platform.orchestration import keys
from vector_platform.orchestration.partitions import model_versions
from vector_platform.orchestration.recall import RecallVerdict, measure_recall
from vector_platform.orchestration.retries import retry_by_type
from vector_platform.quality.plots import as_markdown, metric_bars
from vector_platform.quality.statistics import Estimate
from vector_platform.releases.champion import QualityVerdict, compare_with_champion
from vector_platform.settings import BackendName, Settings
from vector_platform.wiring import Platform

# Slices in the picture: the worst ones.
SHOWN = 12


def build_retrieval_checks(settings: Settings) -> list[dg.AssetChecksDefinition]:
    """One recall check a backend; the quality check where golden queries are configured."""
    checks = [_recall_check(settings, backend) for backend in settings.indexes.backends]
    return [*checks, _quality_check(settings)] if settings.golden_queries else checks


def _recall_check(settings: Settings, backend: BackendName) -> dg.AssetChecksDefinition:
    @dg.asset_check(
        asset=keys.index(backend, settings),
        name=keys.RECALL_HOLDS,
        partitions_def=model_versions(settings),
        description="In every slice of age and tenant, the live generation (of a model that is not "
        "live, its newest) finds the neighbours that exact search over the lake finds.",
    )
    def index_recall_holds(
        context: dg.AssetCheckExecutionContext, platform: dg.ResourceParam[Platform]
    ) -> dg.AssetCheckResult:
        with retry_by_type():
            verdict = measure_recall(
                platform, backend, context.partition_key, run_id=context.run.run_id
            )
        found = verdict.fidelity
        share = verdict.deleted_share
        return dg.AssetCheckResult(
            passed=found.holds,
            metadata={
                **found.facts(),
                **({} if share is None else {"deleted_share": round(share, 4)}),
                "evaluation_id": verdict.evaluation_id,
                "generation": verdict.state.generation,
                "snapshot": str(verdict.state.snapshot),
                "slices": dg.MetadataValue.md(_table(verdict)),
                "picture": dg.MetadataValue.md(_picture(verdict)),
                "what_happens": _after_recall(verdict, backend),
            },
        )

    return index_recall_holds


def _quality_check(settings: Settings) -> dg.AssetChecksDefinition:
    @dg.asset_check(
        asset=keys.RETRIEVAL,
        name=keys.QUALITY_HOLDS,
        partitions_def=model_versions(settings),
        description="On the golden queries, the model version is not worse than the champion: the "
        "live model's record at its release. Paired; too few queries decide nothing.",
    )
    def retrieval_quality_holds(
        context: dg.AssetCheckExecutionContext, platform: dg.ResourceParam[Platform]
    ) -> dg.AssetCheckResult:
        with retry_by_type():
            verdict = compare_with_champion(
                platform.lake,
                [platform.live_pointer(name) for name in platform.settings.indexes.backends],
                context.partition_key,
                metric=platform.settings.quality.evaluation_metric,
            )
        return dg.AssetCheckResult(
            passed=verdict.holds,
            metadata={**verdict.facts(), "what_happens": _after_quality(verdict)},
        )

    return retrieval_quality_holds


def _table(verdict: RecallVerdict) -> str:
    lines = ["| slice | recall | low | high | queries | |", "|---|---|---|---|---|---|"]
    lines += [
        f"| {row['slice']} | {row['recall']:.4f} | {row['low']:.4f} | {row['high']:.4f} "
        f"| {row['queries']} | {'below the floor' if row['below'] else ''} |"
        for row in verdict.fidelity.rows()
    ]
    return "\n".join(lines)


def _picture(verdict: RecallVerdict) -> str:
    bars = {
        found.name: Estimate(
            found.recall.mean, found.recall.low, found.recall.high, found.recall.queries
        )
        for found in verdict.fidelity.slices[:SHOWN]
    }
    title = f"recall of {verdict.state.generation} by slice"
    return as_markdown(metric_bars(bars, metric="recall@10"), title) if bars else ""


def _after_recall(verdict: RecallVerdict, backend: BackendName) -> str:
    if verdict.fidelity.holds:
        return "Nothing: no slice is below the floor."
    state: GenerationState = verdict.state
    return (
        f"{state.generation} misses neighbours in {verdict.fidelity.facts()['slices_below']} "
        "slice(s) although every row is there. A new generation, built from the lake, has "
        "centroids for what came since; no text is embedded again. By hand: vector-platform index "
        f"rebuild --backend {backend} --model {state.model_version}"
    )


def _after_quality(verdict: QualityVerdict) -> str:
    if verdict.comparison is None:
        return f"Nothing: {verdict.why}."
    if not verdict.holds:
        return (
            "Readers find less than at the release. Look at index_recall_holds first: if the index "
            "is faithful, retrain or promote a better model; a rebuild does not help."
        )
    if verdict.comparison.verdict == "undecided":
        return (
            f"Nothing: {verdict.comparison.difference.count} queries, judged as in the champion's "
            f"record, are too few to decide for a margin of {verdict.comparison.margin}. Add "
            "golden queries: they count from the next release of another model on."
        )
    return "Nothing: the model is not worse than the champion."
