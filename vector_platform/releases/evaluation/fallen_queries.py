"""Which golden queries fell against the champion's record, and whose they are.

Belongs here: telling a person where quality was lost.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from vector_platform.lake.evaluations import judged_alike
from vector_platform.lake.lake import Lake
from vector_platform.quality.retrieval.measures import NO_TENANT, current_golden
from vector_platform.quality.statistics import Estimate, bootstrap_mean
from vector_platform.releases.evaluation.champion import QualityVerdict

# Queries shown: those that lost most.
SHOWN = 8
# Documents named that a query asks for.
DOCUMENTS = 3


@dataclass(frozen=True)
class FallenQuery:
    """A golden query that finds less than in the champion's record.

    Attributes:
        query_id: Which one.
        text: What is asked.
        tenant: Whose it is.
        before: Its score in the record.
        now: Its score in the newest evaluation.
        documents: Some of the documents that it asks for.
        gone: Documents that it asks for and the lake no longer holds.
        wanted: Documents that it asks for.
    """

    query_id: str
    text: str
    tenant: str
    before: float
    now: float
    documents: tuple[str, ...]
    gone: int
    wanted: int


@dataclass(frozen=True)
class QueryDifferences:
    """The comparison with the champion, query by query.

    Attributes:
        differences: Query -> now minus the record.
        tenants: Tenant -> mean difference of its queries, the largest loss first.
        fallen: The queries that lost most, the worst first.
    """

    differences: Mapping[str, float]
    tenants: Mapping[str, Estimate]
    fallen: tuple[FallenQuery, ...]

    @property
    def gone(self) -> int:
        """Of the queries shown, those that ask for a document that is gone."""
        return sum(query.gone > 0 for query in self.fallen)


def query_differences(lake: Lake, verdict: QualityVerdict) -> QueryDifferences | None:
    """What the paired comparison of a verdict rests on; None without one."""
    before, now = verdict.champion, verdict.evaluation
    if before is None or verdict.comparison is None:
        return None
    common = judged_alike(before, now)
    differences = {query: now.scores[query] - before.scores[query] for query in sorted(common)}
    golden = current_golden(lake)
    if golden is None:
        return QueryDifferences(differences, {}, ())
    texts = dict(zip(golden.query_ids, golden.texts, strict=True))
    owners = {
        query: tenant or NO_TENANT
        for query, tenant in zip(golden.query_ids, golden.tenants, strict=True)
    }
    by_tenant: dict[str, list[float]] = {}
    for query, difference in differences.items():
        by_tenant.setdefault(owners.get(query, NO_TENANT), []).append(difference)
    means = {name: bootstrap_mean(np.array(found), seed=0) for name, found in by_tenant.items()}
    lost = sorted(
        (query for query in differences if differences[query] < 0 and query in texts),
        key=lambda query: (differences[query], query),
    )[:SHOWN]
    wanted = {
        query: sorted(doc for doc, gain in golden.qrels[query].items() if gain > 0)
        for query in lost
    }
    held = _held(lake, {doc for documents in wanted.values() for doc in documents})
    return QueryDifferences(
        differences,
        dict(sorted(means.items(), key=lambda item: (item[1].mean, item[0]))),
        tuple(
            FallenQuery(
                query,
                texts[query],
                owners[query],
                before.scores[query],
                now.scores[query],
                tuple(wanted[query][:DOCUMENTS]),
                len(set(wanted[query]) - held),
                len(wanted[query]),
            )
            for query in lost
        ),
    )


def _held(lake: Lake, documents: set[str]) -> set[str]:
    """Those of some documents that have chunks."""
    if not documents:
        return set()
    rows = lake.chunks.read(["doc_id"], where=[("doc_id", "in", sorted(documents))])
    return set(rows.column("doc_id").to_pylist())
