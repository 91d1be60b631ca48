"""Index recall: what an index finds of what exact search over the lake finds, slice by slice.

Belongs here: asking an index, recall@k of every slice, and the verdict.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from vector_platform.indexes.base import VectorIndex
from vector_platform.indexes.contract import Generation
from vector_platform.lake.lake import Lake
from vector_platform.lake.snapshots import Snapshot
from vector_platform.quality.recall.exact_recall import recall_of
from vector_platform.quality.recall.index_queries import IndexQueries
from vector_platform.quality.recall.intervals import Recall, holm_rejects, recall_interval
from vector_platform.quality.retrieval.measures import asked_scope

# Reads a clock in seconds; handed in, so that a test decides how long a search took.
Timer = Callable[[], float]

TOP_K = 10
# Queries that are also asked one by one for their latency.
TIMED_QUERIES = 60
# A slice of fewer queries is shown and not judged.
MIN_QUERIES = 30
# One-sided level of the verdict over all slices together: that of a two-sided 95 % interval.
LEVEL = 0.025
# Nothing can be missed, and nothing is known.
NOTHING_STORED = Recall(mean=1.0, low=0.0, high=1.0, queries=0, trials=0.0)


@dataclass(frozen=True)
class SliceRecall:
    """Recall of one slice.

    Attributes:
        name: The slice.
        recall: Mean with its interval.
        below: Whether it is below the floor, all slices judged together.
    """

    name: str
    recall: Recall
    below: bool = False

    @property
    def judged(self) -> bool:
        """Whether it has queries enough to be judged."""
        return self.recall.queries >= MIN_QUERIES

    def row(self) -> dict[str, Any]:
        """It as a plain row."""
        return {
            "slice": self.name,
            "recall": round(self.recall.mean, 6),
            "low": round(self.recall.low, 6),
            "high": round(self.recall.high, 6),
            "queries": self.recall.queries,
            "below": self.below,
        }


@dataclass(frozen=True)
class IndexRecall:
    """What an index finds of the exact neighbours.

    Attributes:
        recall: Mean recall@k over the stored rows; a cell of age and tenant counts by its rows.
            Between 0 and 1 on no query where nothing is stored.
        slices: The slices, worst first.
        floor: Least recall that is accepted.
        queries: Queries asked.
        p95_latency_ms: 95th percentile of a search, over a sample of the queries.
    """

    recall: Recall
    slices: tuple[SliceRecall, ...]
    floor: float
    queries: int
    p95_latency_ms: float

    @property
    def holds(self) -> bool:
        """Whether no slice is below the floor."""
        return not any(found.below for found in self.slices)

    def facts(self) -> dict[str, Any]:
        """Numbers first, for metadata and JSON."""
        worst = self.slices[0] if self.slices else None
        least = worst.recall if worst else self.recall
        return {
            "recall": round(self.recall.mean, 6),
            "recall_low": round(self.recall.low, 6),
            "recall_high": round(self.recall.high, 6),
            "floor": self.floor,
            "worst_recall": round(least.mean, 6),
            "worst_recall_low": round(least.low, 6),
            "worst_recall_high": round(least.high, 6),
            "queries": self.queries,
            "slices_below": sum(found.below for found in self.slices),
            "p95_latency_ms": round(self.p95_latency_ms, 3),
            "worst_slice": worst.name if worst else "",
        }

    def rows(self) -> list[dict[str, Any]]:
        """The slices as plain rows."""
        return [found.row() for found in self.slices]


@dataclass(frozen=True, eq=False)
class Answers:
    """What an index has answered, and how much of it is right.

    Attributes:
        queries: What was asked.
        ids: Rows found for each query, best first.
        recalls: Recall@1 to recall@k of each query, shape (queries, k); NaN where it has no
            neighbour.
        seconds: Single searches, see `IndexRecall.p95_latency_ms`.
    """

    queries: IndexQueries
    ids: list[list[str]]
    recalls: npt.NDArray[np.float64]
    seconds: npt.NDArray[np.float64]

    @property
    def k(self) -> int:
        """Neighbours asked for."""
        return int(self.recalls.shape[1])


def examine(
    lake: Lake,
    target: VectorIndex,
    generation: Generation,
    snapshot: Snapshot,
    queries: IndexQueries,
    *,
    timer: Timer = time.perf_counter,
) -> Answers:
    """Ask an index all queries, and compare with exact search over a snapshot.

    Args:
        lake: Where the vectors are.
        target: The backend.
        generation: What is asked.
        snapshot: What it is proven equal to.
        queries: See `index_queries.py`.
        timer: Reads seconds, before and after a search.

    Raises:
        IndexUnavailable: The backend does not answer; that is no verdict.
    """
    ids = _ask(target, generation, queries)
    seconds = _latencies(target, generation, queries, timer=timer)
    recalls = recall_of(lake, generation.model_version, snapshot, queries, ids, k=TOP_K)
    return Answers(queries, ids, recalls, seconds)


def _ask(target: VectorIndex, generation: Generation, queries: IndexQueries) -> list[list[str]]:
    """The rows that an index finds for each query, many queries of one tenant at a time."""
    together: dict[tuple[str | None, bool], list[int]] = defaultdict(list)
    for place, (tenant, own) in enumerate(zip(queries.tenants, queries.own_ids, strict=True)):
        together[tenant, own is not None].append(place)
    answers: list[list[str]] = [[] for _ in queries.tenants]
    for (tenant, is_stored), places in together.items():
        # One more, since the row that the query is made of comes first and is no answer.
        found = target.nearest(
            generation, queries.vectors[places], k=TOP_K + is_stored, scope=asked_scope(tenant)
        )
        for place, ids in zip(places, found, strict=True):
            own = queries.own_ids[place]
            answers[place] = [row for row in dict.fromkeys(ids) if row != own][:TOP_K]
    return answers


def _latencies(
    target: VectorIndex, generation: Generation, queries: IndexQueries, *, timer: Timer
) -> npt.NDArray[np.float64]:
    """Seconds of single searches as readers make them, of queries of every part."""
    count = len(queries.tenants)
    seconds = []
    for place in np.unique(np.linspace(0, count - 1, min(count, TIMED_QUERIES)).astype(int)):
        started = timer()
        scope = asked_scope(queries.tenants[place])
        target.search(generation, queries.vectors[place], k=TOP_K, scope=scope)
        seconds.append(timer() - started)
    return np.array(seconds)


def judge(answers: Answers, *, floor: float) -> IndexRecall:
    """Recall@k by slice, and which slices are below the floor (Holm over those that are judged).

    Queries without any neighbour have a recall of NaN and are left out.
    """
    queries, k, seconds = answers.queries, answers.k, answers.seconds
    recalls = answers.recalls[:, -1]
    by_slice: dict[str, list[float]] = defaultdict(list)
    for names, recall in zip(queries.slices, recalls, strict=True):
        for name in names:
            if not np.isnan(recall):
                by_slice[name].append(float(recall))
    found = [
        SliceRecall(name, recall_interval(np.array(values), k=k))
        for name, values in by_slice.items()
    ]
    judged = [each for each in found if each.judged]
    rejected = holm_rejects([each.recall.p_below(floor) for each in judged], level=LEVEL)
    below = {each.name for each, low in zip(judged, rejected, strict=True) if low}
    slices = [replace(each, below=each.name in below) for each in found]
    some = ~np.isnan(recalls)
    weights = np.array(queries.weights, np.float64)
    stored = some & (weights > 0)
    return IndexRecall(
        recall=recall_interval(recalls[stored], k=k, rows=weights[stored])
        if stored.any()
        else NOTHING_STORED,
        slices=tuple(
            sorted(slices, key=lambda each: (not each.below, each.recall.mean, each.name))
        ),
        floor=floor,
        queries=int(some.sum()),
        p95_latency_ms=float(np.percentile(seconds, 95)) * 1000 if len(seconds) else 0.0,
    )
