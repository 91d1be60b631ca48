"""Quality assets: golden queries, and how well each model version finds their documents.

Belongs here: `lake/golden_queries` and `quality/retrieval`.
"""

# Dagster reads the types of parameters as they are, so no postponed annotations here.
from typing import Any

import dagster as dg
import pyarrow as pa

from vector_platform.lake.contract import EVALUATIONS, GOLDEN_QUERIES
from vector_platform.lake.evaluations import newest_evaluations
from vector_platform.models.local_versions import trained_on
from vector_platform.orchestration import keys
from vector_platform.orchestration.automation import follow_corpus, follow_sources
from vector_platform.orchestration.columns import table_metadata
from vector_platform.orchestration.inputs import INPUTS, golden_inputs, recorded, retrieval_inputs
from vector_platform.orchestration.partitions import after_all, model_versions
from vector_platform.orchestration.runs.retries import retry_by_type
from vector_platform.orchestration.showing import shown_table
from vector_platform.quality.pictures.plots import as_markdown, metric_bars
from vector_platform.quality.retrieval.golden_evaluation import evaluate_golden
from vector_platform.quality.retrieval.golden_proposals import ACCEPTED_SET, GoldenProposals
from vector_platform.settings import Settings
from vector_platform.sources.golden import read_golden_queries
from vector_platform.wiring import Platform


def build_quality_assets(settings: Settings) -> list[dg.AssetsDefinition]:
    """The quality assets; none when no golden queries are configured."""
    return [_golden_queries(settings), _retrieval(settings)] if settings.golden_queries else []


def _golden_queries(settings: Settings) -> dg.AssetsDefinition:
    sources = sorted({golden.source for golden in settings.golden_queries.values()})

    @dg.asset(
        key=keys.placed(keys.GOLDEN_QUERIES, settings),
        owners=[f"team:{settings.owner}"],
        deps=[after_all(keys.placed(keys.raw(source), settings)) for source in sources],
        group_name="quality",
        kinds={"delta", "python"},
        description=GOLDEN_QUERIES.description,
        metadata=table_metadata(GOLDEN_QUERIES, f"{settings.lake_uri}/{GOLDEN_QUERIES.name}"),
        automation_condition=follow_sources(settings),
        pool="lake_golden_queries",
        code_version="1",
    )
    @keys.of_platform(settings)
    def golden_queries(
        context: dg.AssetExecutionContext, platform: dg.ResourceParam[Platform]
    ) -> dg.MaterializeResult:
        with retry_by_type():
            return dg.MaterializeResult(metadata=gather_golden_queries(platform, context.run_id))

    return golden_queries


def gather_golden_queries(platform: Platform, run_id: str) -> dict[str, Any]:
    """Make the table those of the sources and the accepted proposals. Says what was done."""
    table = platform.lake.golden_queries
    proposals = GoldenProposals(platform.lake, run_id=run_id)
    inputs = golden_inputs(platform)
    rows = pa.concat_tables(
        [
            read_golden_queries(platform.settings, open_source=platform.source),
            proposals.accepted(),
        ]
    )
    changed = not _same_rows(table.read(), rows)
    if changed:
        table.replace(rows, metadata={"run_id": run_id})
    # Whatever was erased while the rows were gathered.
    forgotten = proposals.forget()
    names = table.read(["set_name"]).column("set_name").to_pylist()
    return {
        "judgements": len(names),
        "sets": len(set(names)),
        "accepted_proposals": names.count(ACCEPTED_SET),
        "changed": int(changed or forgotten > 0),
        "lake_version": table.version(),
        INPUTS: inputs,
    }


def _retrieval(settings: Settings) -> dg.AssetsDefinition:
    @dg.asset(
        key=keys.placed(keys.RETRIEVAL, settings),
        owners=[f"team:{settings.owner}"],
        deps=[keys.placed(keys.EMBEDDINGS, settings), keys.placed(keys.GOLDEN_QUERIES, settings)],
        partitions_def=model_versions(settings),
        group_name="quality",
        kinds={"delta", "python"},
        description="Retrieval quality of a model version: exact search over the lake's vectors, "
        "judged by the golden queries, overall and within each query's tenant.",
        metadata=table_metadata(EVALUATIONS, f"{settings.lake_uri}/{EVALUATIONS.name}"),
        automation_condition=follow_corpus(settings),
        pool="lake_evaluations",
        code_version="1",
    )
    @keys.of_platform(settings)
    def retrieval(
        context: dg.AssetExecutionContext, platform: dg.ResourceParam[Platform]
    ) -> dg.MaterializeResult:
        model_version = context.partition_key
        inputs = retrieval_inputs(platform)
        with retry_by_type():
            if why := platform.queries_problem(model_version):
                return dg.MaterializeResult(
                    metadata={"measured": 0, "not_measured": why, INPUTS: inputs}
                )
            known = (
                recorded(context.instance, keys.placed(keys.RETRIEVAL, settings), model_version)
                == inputs
            )
            facts = repeat_evaluation(platform, model_version) if known else None
            measured = facts is None
            if facts is None:
                facts = evaluate_model(platform, model_version, context.run_id)
        return dg.MaterializeResult(metadata={**facts, "measured": int(measured), INPUTS: inputs})

    return retrieval


def repeat_evaluation(platform: Platform, model_version: str) -> dict[str, Any] | None:
    """The newest evaluation once more, for when nothing that it depends on has changed."""
    metric = platform.settings.quality.evaluation_metric
    newest = newest_evaluations(platform.lake, metric).get(model_version)
    return {metric: newest.value, "evaluation_id": newest.evaluation_id} if newest else None


def evaluate_model(platform: Platform, model_version: str, run_id: str) -> dict[str, Any]:
    """Evaluate a model version on the golden queries and record the result. Returns the facts."""
    found = evaluate_golden(
        platform.lake,
        platform.embedder(model_version),
        trained_on=trained_on(platform.data_dir, model_version),
        run_id=run_id,
    )
    metric = platform.settings.quality.evaluation_metric
    picture = metric_bars(
        {
            "all tenants": found.overall.means[metric],
            "within the tenant": found.within.means[metric],
        },
        metric=metric,
    )
    facts = found.facts()
    bounds = [name.removesuffix("_low") for name in facts if name.endswith("_low")]
    intervals = [[name, facts.pop(f"{name}_low"), facts.pop(f"{name}_high")] for name in bounds]
    return {
        **facts,
        "intervals": shown_table(["measure", "low", "high"], intervals),
        "picture": dg.MetadataValue.md(as_markdown(picture, f"{metric} of {model_version}")),
        "snapshot": str(found.snapshot),
        "evaluation_id": found.evaluation_id,
    }


def _same_rows(stored: pa.Table, rows: pa.Table) -> bool:
    order = [(key, "ascending") for key in GOLDEN_QUERIES.keys]
    names = GOLDEN_QUERIES.schema.names
    return bool(
        stored.num_rows == rows.num_rows
        and stored.select(names).sort_by(order).to_pylist()
        == rows.select(names).sort_by(order).to_pylist()
    )
