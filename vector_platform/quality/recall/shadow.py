"""Shadow comparison: the same queries to two generations, side by side, before anything moves.

Belongs here: asking both and comparing ids, ranks and latency.

Both sides get the same query vector, so a difference is the index's, never the model's.
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from vector_platform.errors import TerminalError
from vector_platform.indexes.base import VectorIndex
from vector_platform.indexes.contract import Generation
from vector_platform.quality.retrieval.measures import asked_scope

# Examples of queries whose answers differ most.
EXAMPLES = 5


class NothingToCompare(TerminalError):
    """A shadow comparison without queries would prove nothing."""


@dataclass(frozen=True)
class ShadowQuery:
    """One query: its text for people, its vector for the indexes, its tenant."""

    text: str
    vector: npt.NDArray[np.float32]
    tenant: str | None


@dataclass(frozen=True)
class Side:
    """One generation on one backend."""

    target: VectorIndex
    generation: Generation

    @property
    def name(self) -> str:
        """`backend/generation`."""
        return f"{self.target.backend}/{self.generation.name}"


@dataclass(frozen=True)
class ShadowReport:
    """How alike two generations answer.

    Attributes:
        old: Name of the side that serves.
        new: Name of the side that would.
        k: Hits compared.
        queries: Queries asked.
        overlap: Mean share of the old side's ids that the new side returns too.
        identical: Share of queries with the same ids in the same order.
        rank_correlation: Mean Kendall tau-b over the common ids of queries that share two or
            more; NaN when none does.
        old_p50_ms: Median latency of the old side, milliseconds.
        old_p95_ms: 95th percentile.
        new_p50_ms: Median latency of the new side.
        new_p95_ms: 95th percentile.
        worst: Queries with the smallest overlap, as (text, overlap).
    """

    old: str
    new: str
    k: int
    queries: int
    overlap: float
    identical: float
    rank_correlation: float
    old_p50_ms: float
    old_p95_ms: float
    new_p50_ms: float
    new_p95_ms: float
    worst: tuple[tuple[str, float], ...]

    def facts(self) -> dict[str, Any]:
        """Numbers first, for metadata, JSON and the evidence of a release."""
        numbers = {name: value for name, value in vars(self).items() if name != "worst"}
        rounded = {
            name: (round(value, 4) if math.isfinite(value) else None)
            if isinstance(value, float)
            else value
            for name, value in numbers.items()
        }
        return {**rounded, "worst": [list(pair) for pair in self.worst]}


def compare_sides(
    old: Side, new: Side, queries: Sequence[ShadowQuery], *, k: int = 10
) -> ShadowReport:
    """Ask both sides every query and compare the answers.

    The sides are asked in turn, query by query, so that a busy machine slows both alike.

    Raises:
        NothingToCompare: There are no queries.
    """
    if not queries:
        raise NothingToCompare(
            "a shadow comparison needs queries: name golden_queries in platform.yaml"
        )
    overlaps, identical, correlations = [], 0, []
    old_ms, new_ms = [], []
    for query in queries:
        before, seconds = _ask(old, query, k)
        old_ms.append(seconds * 1000)
        after, seconds = _ask(new, query, k)
        new_ms.append(seconds * 1000)
        overlaps.append(len(set(before) & set(after)) / len(before) if before else 1.0)
        identical += before == after
        correlation = _rank_correlation(before, after)
        if correlation is not None:
            correlations.append(correlation)
    order = sorted(range(len(queries)), key=lambda place: (overlaps[place], queries[place].text))
    return ShadowReport(
        old=old.name,
        new=new.name,
        k=k,
        queries=len(queries),
        overlap=float(np.mean(overlaps)),
        identical=identical / len(queries),
        rank_correlation=float(np.mean(correlations)) if correlations else float("nan"),
        old_p50_ms=float(np.percentile(old_ms, 50)),
        old_p95_ms=float(np.percentile(old_ms, 95)),
        new_p50_ms=float(np.percentile(new_ms, 50)),
        new_p95_ms=float(np.percentile(new_ms, 95)),
        worst=tuple((queries[place].text, round(overlaps[place], 3)) for place in order[:EXAMPLES]),
    )


def _ask(side: Side, query: ShadowQuery, k: int) -> tuple[list[str], float]:
    started = time.perf_counter()
    scope = asked_scope(query.tenant)
    hits = side.target.search(side.generation, query.vector, k=k, scope=scope)
    return [hit.id for hit in hits], time.perf_counter() - started


def _rank_correlation(before: list[str], after: list[str]) -> float | None:
    """Kendall's tau-b of the common ids' ranks; None with fewer than two of them."""
    from scipy.stats import kendalltau

    common = [row_id for row_id in before if row_id in set(after)]
    if len(common) < 2:
        return None
    ranks = {row_id: rank for rank, row_id in enumerate(after)}
    return float(kendalltau(range(len(common)), [ranks[row_id] for row_id in common]).statistic)
