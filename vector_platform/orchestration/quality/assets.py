"""Quality assets: golden queries, and how well each model version finds their documents.

Belongs here: `lake/golden_queries` and `quality/retrieval`.
"""

# Dagster reads the types of parameters as they are, so no postponed annotations here.
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import dagster as dg
import pyarrow as pa

from vector_platform.lake.contract import EVALUATIONS, GOLDEN_QUERIES, canonical_json, hash_text
from vector_platform.lake.evaluations import Measurement, keep, newest_evaluations
from vector_platform.lake.snapshots import Snapshot
from vector_platform.models.local_versions import trained_on
from vector_platform.orchestration import keys
from vector_platform.orchestration.automation import follow_corpus, follow_sources
from vector_platform.orchestration.columns import table_metadata
from vector_platform.orchestration.inputs import INPUTS, golden_inputs, recorded, retrieval_inputs
from vector_platform.orchestration.partitions import after_all, model_versions
from vector_platform.orchestration.runs.retries import retry_by_type
from vector_platform.quality.pictures.plots import as_markdown, metric_bars
from vector_platform.quality.retrieval.golden_proposals import ACCEPTED_SET, GoldenProposals
from vector_platform.quality.retrieval.measures import (
    NO_GOLDEN,
    GoldenSet,
    NoGoldenQueries,
    QualityReport,
    ScoredDoc,
    current_golden,
    evaluate,
    exact_top_k,
)
from vector_platform.settings import Settings
from vector_platform.sources.golden import read_golden_queries
from vector_platform.wiring import Platform

# Metrics at 10 need ten documents; more are kept for nobody.
TOP_K = 10


def build_quality_assets(settings: Settings) -> list[dg.AssetsDefinition]:
    """The quality assets; none when no golden queries are configured."""
    return [_golden_queries(settings), _retrieval(settings)] if settings.golden_queries else []


def _golden_queries(settings: Settings) -> dg.AssetsDefinition:
    sources = sorted({golden.source for golden in settings.golden_queries.values()})

    @dg.asset(
        key=keys.GOLDEN_QUERIES,
        owners=[f"team:{settings.owner}"],
        deps=[after_all(keys.raw(source)) for source in sources],
        group_name="quality",
        kinds={"delta", "python"},
        description=GOLDEN_QUERIES.description,
        metadata=table_metadata(GOLDEN_QUERIES, f"{settings.lake_uri}/{GOLDEN_QUERIES.name}"),
        automation_condition=follow_sources(settings),
        pool="lake_golden_queries",
        code_version="1",
    )
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
        key=keys.RETRIEVAL,
        owners=[f"team:{settings.owner}"],
        deps=[keys.EMBEDDINGS, keys.GOLDEN_QUERIES],
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
    def retrieval(
        context: dg.AssetExecutionContext, platform: dg.ResourceParam[Platform]
    ) -> dg.MaterializeResult:
        model_version = context.partition_key
        inputs = retrieval_inputs(platform)
        with retry_by_type():
            known = recorded(context.instance, keys.RETRIEVAL, model_version) == inputs
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
    lake = platform.lake
    snapshot = lake.snapshot()
    golden = current_golden(lake)
    if golden is None:
        raise NoGoldenQueries(NO_GOLDEN)
    vectors = platform.embedder(model_version).encode_queries(list(golden.texts))

    def answers(tenants: tuple[str | None, ...] | None) -> list[list[ScoredDoc]]:
        return exact_top_k(lake, model_version, snapshot, vectors, k=TOP_K, tenants=tenants)

    found = answers(None)
    overall, within = evaluate(found, golden), evaluate(answers(golden.tenants), golden)
    learnt = trained_on(platform.data_dir, model_version)
    measured = measurements(
        overall,
        within,
        model_version,
        snapshot,
        golden,
        answers=dict(zip(golden.query_ids, map(_answer_hash, found), strict=True)),
        seen=[
            query
            for query, text in zip(golden.query_ids, golden.texts, strict=True)
            if hash_text(text) in learnt
        ],
    )
    evaluation_id = keep(lake, *measured, run_id=run_id, now=datetime.now(UTC))
    metric = platform.settings.quality.evaluation_metric
    picture = metric_bars(
        {"all tenants": overall.means[metric], "within the tenant": within.means[metric]},
        metric=metric,
    )
    return {
        **overall.facts(),
        **{f"tenant_{name}": value for name, value in within.facts().items() if name != "queries"},
        "picture": dg.MetadataValue.md(as_markdown(picture, f"{metric} of {model_version}")),
        "snapshot": str(snapshot),
        "evaluation_id": evaluation_id,
    }


def measurements(
    overall: QualityReport,
    within: QualityReport,
    model_version: str,
    snapshot: Snapshot,
    golden: GoldenSet,
    *,
    answers: Mapping[str, str],
    seen: Sequence[str],
) -> list[Measurement]:
    """What is kept of an evaluation: one a metric; `details` has what is known of each query.

    Args:
        overall: Scores over all tenants.
        within: Scores within each query's tenant.
        model_version: Whose.
        snapshot: What was searched.
        golden: What was asked.
        answers: Query -> a hash of the documents found over all tenants, in their order.
        seen: Queries that the model was trained on.
    """
    judgements = golden.judgements()
    return [
        Measurement(
            kind=kind,
            subject="golden_queries",
            model_version=model_version,
            metric=metric,
            value=estimate.mean,
            sample_size=estimate.count,
            chunks_version=snapshot.chunks,
            details={
                "interval": [estimate.low, estimate.high],
                "scores": {
                    query: round(score, 6) for query, score in report.per_query[metric].items()
                },
                "judgements": judgements,
                "answers": answers,
                "seen": seen,
            },
        )
        for kind, report in (("retrieval", overall), ("retrieval_within_tenant", within))
        for metric, estimate in report.means.items()
    ]


def _answer_hash(found: Sequence[ScoredDoc]) -> str:
    return hash_text(canonical_json([one.doc_id for one in found]))[:16]


def _same_rows(stored: pa.Table, rows: pa.Table) -> bool:
    order = [(key, "ascending") for key in GOLDEN_QUERIES.keys]
    names = GOLDEN_QUERIES.schema.names
    return bool(
        stored.num_rows == rows.num_rows
        and stored.select(names).sort_by(order).to_pylist()
        == rows.select(names).sort_by(order).to_pylist()
    )
