"""Evaluating a model version on the golden queries, and keeping the result.

Belongs here: exact search over the lake's vectors for every golden query, its scores, and what is
recorded of them.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np

from vector_platform.lake.contract import canonical_json, hash_text
from vector_platform.lake.evaluations import Measurement, keep
from vector_platform.lake.lake import Lake
from vector_platform.lake.snapshots import Snapshot
from vector_platform.models.base import Embedder
from vector_platform.quality.exact import ScoredDoc, exact_top_k
from vector_platform.quality.retrieval.measures import (
    NO_GOLDEN,
    GoldenSet,
    NoGoldenQueries,
    QualityReport,
    current_golden,
    evaluate,
)

# Metrics at 10 need ten documents; more are kept for nobody.
TOP_K = 10


@dataclass(frozen=True)
class GoldenEvaluation:
    """An evaluation that has been recorded.

    Attributes:
        overall: Scores over all tenants.
        within: Scores within each query's tenant.
        snapshot: What was searched.
        evaluation_id: Its record in `evaluations`.
    """

    overall: QualityReport
    within: QualityReport
    snapshot: Snapshot
    evaluation_id: str

    def facts(self) -> dict[str, Any]:
        """Numbers, for metadata."""
        within = self.within.facts()
        return self.overall.facts() | {
            f"tenant_{name}": value for name, value in within.items() if name != "queries"
        }


def evaluate_golden(
    lake: Lake, embedder: Embedder, *, trained_on: Collection[str], run_id: str
) -> GoldenEvaluation:
    """Evaluate a model version on the golden queries and record the result.

    Args:
        lake: Of the deployment.
        embedder: Of the model version.
        trained_on: Hashes of the queries that it was trained on.
        run_id: Recorded with the result.

    Raises:
        NoGoldenQueries: There are none.
    """
    snapshot = lake.snapshot()
    golden = current_golden(lake)
    if golden is None:
        raise NoGoldenQueries(NO_GOLDEN)
    vectors = embedder.encode_queries(list(golden.texts))

    # Both at once: what costs is reading the lake.
    count = len(golden.texts)
    answers = exact_top_k(
        lake,
        embedder.name,
        snapshot,
        np.concatenate([vectors, vectors]),
        k=TOP_K,
        tenants=[*(None,) * count, *golden.tenants],
    )
    found = answers[:count]
    overall, within = evaluate(found, golden), evaluate(answers[count:], golden)
    measured = measurements(
        overall,
        within,
        embedder.name,
        snapshot,
        golden,
        answers=dict(zip(golden.query_ids, map(_answer_hash, found), strict=True)),
        seen=[
            query
            for query, text in zip(golden.query_ids, golden.texts, strict=True)
            if hash_text(text) in trained_on
        ],
    )
    evaluation_id = keep(lake, *measured, run_id=run_id, now=datetime.now(UTC))
    return GoldenEvaluation(overall, within, snapshot, evaluation_id)


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
