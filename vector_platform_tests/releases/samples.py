"""Evidence and decisions for tests of the pure parts of a release."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np

from vector_platform.lake.decisions import Decision, What
from vector_platform.quality.recall.index_queries import OLD
from vector_platform.quality.recall.index_recall import IndexRecall, SliceRecall
from vector_platform.quality.recall.intervals import Recall
from vector_platform.releases.evaluation.evidence import Evidence, QualityScores

MOMENT = datetime(2026, 3, 4, 12, tzinfo=UTC)


def evidence(**changes: Any) -> Evidence:
    """A rebuild of the live model that every gate lets through."""
    known: dict[str, Any] = {
        "backend": "milvus",
        "index": "documents",
        "generation": "g0002",
        "model_version": "old.v1",
        "change": "rebuild",
        "champion": "g0001",
        "measured_at": MOMENT.isoformat(),
        "snapshot": "chunks@7 abc",
        "newest_snapshot": "chunks@7 abc",
        "differences": "",
        "rows": 120,
        "index_recall": index_recall(
            Recall(0.99, 0.97, 1.0, 200, 400.0),
            SliceRecall(OLD, Recall(0.99, 0.96, 1.0, 150, 300.0)),
        ),
        "same_vectors": True,
        "champion_ms": tuple(10.0 + number % 7 for number in range(60)),
        "challenger_ms": tuple(11.0 + number % 7 for number in range(60)),
    }
    return Evidence(**(known | changes))


def index_recall(whole: Recall, *slices: SliceRecall) -> IndexRecall:
    """What an index finds, judged by a floor of 0.9."""
    return IndexRecall(whole, slices, floor=0.9, queries=whole.queries, p95_latency_ms=3.0)


def scores(
    loss: float,
    *,
    queries: int = 400,
    deviation: float = 0.1,
    seed: int = 1,
    slices: int = 1,
    sick: float = 0.0,
) -> QualityScores:
    """Scores of a challenger that loses `loss` on average; slice `t0` loses `sick` more."""
    rng = np.random.default_rng(seed)
    noise = rng.normal(size=queries)
    noise = deviation * (noise - noise.mean()) / noise.std(ddof=1)
    names = [f"q{number:05d}" for number in range(queries)]
    tenants = {name: (f"t{number % slices}",) for number, name in enumerate(names)}
    champion = dict.fromkeys(names, 0.6)
    challenger = {
        name: 0.6 - loss + float(value) - (sick if tenants[name] == ("t0",) else 0.0)
        for name, value in zip(names, noise, strict=True)
    }
    return QualityScores("nDCG@10", champion, challenger, tenants)


def decision(what: What, actor: str, at: int = 0, after: str | None = None) -> Decision:
    """A decision about the request `r-1`."""
    return Decision(
        decision_id=f"{at:04d}",
        decided_at=MOMENT + timedelta(minutes=at),
        actor=actor,
        what=what,
        subject="r-1",
        evidence=(),
        before=None,
        after=after,
        why="because",
        run_id="run",
    )
