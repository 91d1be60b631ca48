"""How well a ranking finds what people judged relevant: trec_eval's measures, with intervals.

Belongs here: golden queries and the evaluation of rankings.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from vector_platform.errors import TerminalError
from vector_platform.indexes.contract import Scope
from vector_platform.lake.contract import canonical_json, hash_text
from vector_platform.lake.lake import Lake
from vector_platform.lake.slices.quarantine import SliceQuarantine
from vector_platform.quality.exact import ScoredDoc
from vector_platform.quality.statistics import Estimate, bootstrap_mean

METRICS = ("nDCG@10", "R@10", "RR@10")
NO_GOLDEN = "there are no golden queries: name some under golden_queries in platform.yaml"
# Key of the tenant means for queries that belong to no tenant.
NO_TENANT = "(none)"


class NoGoldenQueries(TerminalError):
    """There is nothing to evaluate: no golden query that has a relevant document."""


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

    def only(self, query_ids: Collection[str]) -> GoldenSet:
        """Those of its queries that are among these, in its own order."""
        wanted = set(query_ids)
        places = [place for place, query in enumerate(self.query_ids) if query in wanted]
        return GoldenSet(
            query_ids=tuple(self.query_ids[place] for place in places),
            texts=tuple(self.texts[place] for place in places),
            tenants=tuple(self.tenants[place] for place in places),
            qrels={self.query_ids[place]: self.qrels[self.query_ids[place]] for place in places},
        )

    def sample(self, count: int) -> GoldenSet:
        """At most so many queries, those with the smallest hashes: the same ones every time."""
        return self.only(sorted(self.query_ids, key=hash_text)[:count])

    def judgements(self) -> dict[str, str]:
        """Query id -> a hash of all that a score of the query rests on besides the ranking.

        That is its text, its tenant and the gain of every judged document. Scores of a query
        can be compared only where it is the same: a document more to be found lowers a score
        although nothing is found any worse.
        """
        return {
            query: hash_text(canonical_json([text, tenant, self.qrels[query]]))[:16]
            for query, text, tenant in zip(self.query_ids, self.texts, self.tenants, strict=True)
        }


def asked_scope(tenant: str | None) -> Scope:
    """Whose rows a query of a measurement is asked of: its tenant's, without one everybody's."""
    return Scope.all_tenants() if tenant is None else Scope.of(tenant)


@dataclass(frozen=True)
class QualityReport:
    """Retrieval quality of one ranking.

    Attributes:
        means: Metric -> mean over queries with its interval.
        tenants: Metric -> tenant -> mean over its queries.
        per_query: Metric -> query id -> value.
        unjudged: Mean share of the documents found, at most ten a query, that nobody has judged:
            how much of a score rests on what is not known.
    """

    means: Mapping[str, Estimate]
    tenants: Mapping[str, Mapping[str, Estimate]]
    per_query: Mapping[str, Mapping[str, float]]
    unjudged: float

    def facts(self) -> dict[str, Any]:
        """Numbers for metadata and JSON."""
        facts: dict[str, Any] = {}
        for metric, estimate in self.means.items():
            facts[metric] = round(estimate.mean, 6)
            facts[f"{metric}_low"] = round(estimate.low, 6)
            facts[f"{metric}_high"] = round(estimate.high, 6)
        facts["unjudged@10"] = round(self.unjudged, 6)
        facts["queries"] = next(iter(self.means.values())).count
        return facts


def golden_set(rows: pa.Table, *, quarantined: Collection[str] = ()) -> GoldenSet:
    """Read rows of the lake's `golden_queries` table.

    A query whose judgements are all 0 or below has no right answer: it is skipped, and
    `vector-platform golden health` names it. Gains above 1 count for more in nDCG; those of 0 and
    below count as not relevant, as do documents that nobody judged.

    Args:
        rows: The judgements.
        quarantined: Documents in quarantine. Nobody can find them, so judgements of them do not
            count, and a query without any other relevant document is not asked.

    Raises:
        NoGoldenQueries: No rows, or none with a document of a positive gain that can be found.
    """
    texts: dict[str, str] = {}
    tenants: dict[str, str | None] = {}
    qrels: dict[str, dict[str, int]] = {}
    for row in rows.to_pylist():
        query = f"{row['set_name']}/{row['query_id']}"
        texts[query], tenants[query] = row["text"], row["tenant"]
        qrels.setdefault(query, {})[row["doc_id"]] = row["gain"]
    hopeless = {query for query, gains in qrels.items() if max(gains.values()) <= 0}
    if not qrels:
        raise NoGoldenQueries(NO_GOLDEN)
    if hopeless == qrels.keys():
        raise NoGoldenQueries("no golden query names a document of a positive gain")
    kept = {
        query: {doc: gain for doc, gain in gains.items() if doc not in quarantined}
        for query, gains in qrels.items()
    }
    qrels = {query: gains for query, gains in kept.items() if max(gains.values(), default=0) > 0}
    if not qrels:
        raise NoGoldenQueries("every golden query is about documents in quarantine")
    order = tuple(sorted(qrels))
    return GoldenSet(
        query_ids=order,
        texts=tuple(texts[query] for query in order),
        tenants=tuple(tenants[query] for query in order),
        qrels=qrels,
    )


def current_golden(lake: Lake) -> GoldenSet | None:
    """The lake's golden queries, without what is in quarantine; None where there are none."""
    rows = lake.golden_queries.read()
    if not rows.num_rows:
        return None
    return golden_set(rows, quarantined=SliceQuarantine(lake).documents())


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
        unjudged=float(
            np.mean(
                [
                    np.mean(
                        [doc.doc_id not in golden.qrels[query] for doc in ranking[:10]] or [False]
                    )
                    for query, ranking in zip(golden.query_ids, results, strict=True)
                ]
            )
        ),
    )
