"""How well a ranking finds what people judged relevant: trec_eval's measures, with intervals.

Belongs here: golden queries, evaluation of rankings, and the paired comparison of two models.
Does not belong here: producing rankings (`exact.py`, the indexes), embedding queries, or the
decision to promote; a comparison only says what the numbers support.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pyarrow as pa

from vector_platform.errors import TerminalError
from vector_platform.quality.exact import ScoredDoc, best_per_document, exact_top_k
from vector_platform.quality.statistics import Estimate, bootstrap_mean, sign_flip_p_value

__all__ = [
    "Comparison",
    "GoldenSet",
    "IncomparableReports",
    "NoGoldenQueries",
    "QualityReport",
    "ScoredDoc",
    "best_per_document",
    "compare_reports",
    "compare_scores",
    "evaluate",
    "exact_top_k",
    "golden_set",
]

Verdict = Literal["better", "not worse", "worse", "undecided"]

METRICS = ("nDCG@10", "R@10", "RR@10")
# Below this a bootstrap interval is too narrow to be believed.
MIN_QUERIES = 20
# Loss of a mean that nobody would notice: 0.01 nDCG needs about 820 queries to be seen.
DEFAULT_MARGIN = 0.01
# Key of the tenant means for queries that belong to no tenant.
NO_TENANT = "(none)"


class NoGoldenQueries(TerminalError):
    """There is nothing to evaluate: no golden query, or one without a relevant document."""


class IncomparableReports(TerminalError):
    """Two reports that do not answer the same queries, so pairing them would mean nothing."""


@dataclass(frozen=True)
class GoldenSet:
    """Golden queries in a fixed order, so that vectors, tenants and results line up by place.

    Attributes:
        query_ids: `{set_name}/{query_id}`, sorted.
        texts: What the caller embeds.
        tenants: Tenant of each query, or None.
        qrels: Query id -> document id -> gain.
    """

    query_ids: tuple[str, ...]
    texts: tuple[str, ...]
    tenants: tuple[str | None, ...]
    qrels: Mapping[str, Mapping[str, int]]


@dataclass(frozen=True)
class QualityReport:
    """Retrieval quality of one ranking.

    Attributes:
        means: Metric -> mean over queries with its interval.
        tenants: Metric -> tenant -> mean over its queries.
        per_query: Metric -> query id -> value.
    """

    means: Mapping[str, Estimate]
    tenants: Mapping[str, Mapping[str, Estimate]]
    per_query: Mapping[str, Mapping[str, float]]

    def facts(self) -> dict[str, Any]:
        """Numbers for metadata and JSON."""
        facts: dict[str, Any] = {}
        for metric, estimate in self.means.items():
            facts[metric] = round(estimate.mean, 6)
            facts[f"{metric}_low"] = round(estimate.low, 6)
            facts[f"{metric}_high"] = round(estimate.high, 6)
        facts["queries"] = next(iter(self.means.values())).count
        return facts


@dataclass(frozen=True)
class Comparison:
    """A paired comparison: challenger minus champion, on the same queries.

    Attributes:
        metric: What was compared.
        difference: Mean difference with its interval; positive favours the challenger.
        p_value: Two-sided randomisation test of no difference.
        margin: Largest loss that counts as no loss.
        verdict: `better` (the interval is above 0), `not worse` (above -margin), `worse` (below
            0), else `undecided`: more queries are needed.
    """

    metric: str
    difference: Estimate
    p_value: float
    margin: float
    verdict: Verdict

    def facts(self) -> dict[str, Any]:
        """Numbers first, for metadata, JSON and the evidence of a release."""
        return {
            "difference": round(self.difference.mean, 6),
            "difference_low": round(self.difference.low, 6),
            "difference_high": round(self.difference.high, 6),
            "p_value": self.p_value,
            "queries": self.difference.count,
            "margin": self.margin,
            "metric": self.metric,
            "verdict": self.verdict,
        }


def golden_set(rows: pa.Table) -> GoldenSet:
    """Read rows of the lake's `golden_queries` table.

    Raises:
        NoGoldenQueries: No rows, or a query with no document of a positive gain.
    """
    texts: dict[str, str] = {}
    tenants: dict[str, str | None] = {}
    qrels: dict[str, dict[str, int]] = {}
    for row in rows.to_pylist():
        query = f"{row['set_name']}/{row['query_id']}"
        texts[query], tenants[query] = row["text"], row["tenant"]
        qrels.setdefault(query, {})[row["doc_id"]] = row["gain"]
    hopeless = sorted(query for query, gains in qrels.items() if max(gains.values()) <= 0)
    if not qrels or hopeless:
        raise NoGoldenQueries(
            f"golden queries without a relevant document: {', '.join(hopeless[:5])}"
            if hopeless
            else "there are no golden queries: name some under golden_queries in platform.yaml"
        )
    order = tuple(sorted(qrels))
    return GoldenSet(
        query_ids=order,
        texts=tuple(texts[query] for query in order),
        tenants=tuple(tenants[query] for query in order),
        qrels=qrels,
    )


def evaluate(
    results: Sequence[Sequence[ScoredDoc]],
    golden: GoldenSet,
    metrics: Sequence[str] = METRICS,
    *,
    seed: int = 0,
) -> QualityReport:
    """Score rankings against judgements with trec_eval's own definitions.

    The order of a ranking counts, not its scores: trec_eval would break ties its own way.

    Args:
        results: One ranking a query, in the order of `golden.query_ids`; may be empty.
        golden: The judgements.
        metrics: Names as ir-measures writes them, e.g. `nDCG@10`.
        seed: Of the bootstrap.
    """
    import ir_measures

    if len(results) != len(golden.query_ids):
        raise ValueError(f"{len(results)} rankings for {len(golden.query_ids)} queries")
    run = {
        query: {doc.doc_id: float(-rank) for rank, doc in enumerate(ranking)}
        for query, ranking in zip(golden.query_ids, results, strict=True)
    }
    values: dict[str, dict[str, float]] = {
        metric: dict.fromkeys(golden.query_ids, 0.0) for metric in metrics
    }
    parsed = {ir_measures.parse_measure(metric): metric for metric in metrics}
    for found in ir_measures.iter_calc(list(parsed), golden.qrels, run):
        values[parsed[found.measure]][found.query_id] = float(found.value)
    owners = [tenant or NO_TENANT for tenant in golden.tenants]
    return QualityReport(
        means={
            metric: bootstrap_mean(np.array(list(scores.values())), seed=seed)
            for metric, scores in values.items()
        },
        tenants={
            metric: {
                owner: bootstrap_mean(
                    np.array(
                        [
                            score
                            for score, mine in zip(scores.values(), owners, strict=True)
                            if mine == owner
                        ]
                    ),
                    seed=seed,
                )
                for owner in sorted(set(owners))
            }
            for metric, scores in values.items()
        },
        per_query=values,
    )


def compare_reports(
    champion: QualityReport,
    challenger: QualityReport,
    *,
    metric: str = "nDCG@10",
    margin: float = DEFAULT_MARGIN,
    seed: int = 0,
) -> Comparison:
    """Compare two rankings of the same queries by one metric; see `compare_scores`."""
    return compare_scores(
        champion.per_query[metric],
        challenger.per_query[metric],
        metric=metric,
        margin=margin,
        seed=seed,
    )


def compare_scores(
    champion: Mapping[str, float],
    challenger: Mapping[str, float],
    *,
    metric: str = "nDCG@10",
    margin: float = DEFAULT_MARGIN,
    seed: int = 0,
) -> Comparison:
    """Compare scores on the same queries, pair by pair.

    Non-inferiority at one-sided 2.5 %: the lower end of the 95 % bootstrap interval must stay
    above -margin. `better` also asks the randomisation test for p <= .05, and fewer than
    `MIN_QUERIES` queries decide nothing.

    Raises:
        IncomparableReports: The two sides do not hold the same queries.
    """
    if set(champion) != set(challenger):
        raise IncomparableReports(
            f"{len(set(champion) ^ set(challenger))} queries are in one of the two reports only"
        )
    differences = np.array([challenger[query] - champion[query] for query in sorted(champion)])
    difference = bootstrap_mean(differences, seed=seed)
    p_value = sign_flip_p_value(differences, seed=seed)
    verdict: Verdict = "undecided"
    if len(differences) >= MIN_QUERIES:
        if difference.low > 0 and p_value <= 0.05:
            verdict = "better"
        elif difference.low > -margin:
            verdict = "not worse"
        elif difference.high < 0:
            verdict = "worse"
    return Comparison(metric, difference, p_value, margin, verdict)
