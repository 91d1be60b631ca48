"""Measuring the recall of a generation, and keeping the result.

Belongs here: the queries, the measurement and its record for one generation.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import uuid4

from vector_platform.errors import TerminalError
from vector_platform.indexes.base import VectorIndex
from vector_platform.indexes.state import GenerationState
from vector_platform.lake.evaluations import Measurement, keep
from vector_platform.lake.lake import Lake
from vector_platform.lake.snapshots import Snapshot
from vector_platform.quality.recall.index_queries import IndexQueries
from vector_platform.quality.recall.index_recall import (
    Answers,
    IndexRecall,
    Timer,
    examine,
    judge,
)

KIND = "index_recall"
METRIC = "recall@10"


class NothingProven(TerminalError):
    """There is no generation that is proven equal to a snapshot, so nothing to compare with."""


@dataclass(frozen=True)
class RecallVerdict:
    """A measurement of a generation.

    Attributes:
        evaluation_id: Its record in `evaluations`.
        state: The generation, and the snapshot it was compared with.
        answers: What it answered.
        recall: What it finds.
        deleted_share: Deleted rows that the backend still stores; None where nobody knows.
    """

    evaluation_id: str
    state: GenerationState
    answers: Answers
    recall: IndexRecall
    deleted_share: float | None


def measure_generation(
    lake: Lake,
    target: VectorIndex,
    state: GenerationState,
    *,
    queries: Callable[[GenerationState, Snapshot], IndexQueries],
    floor: float,
    timer: Timer,
    run_id: str,
) -> RecallVerdict:
    """Measure a generation against the snapshot it is proven equal to, and record the result.

    Args:
        lake: Of the deployment.
        target: The backend that holds the generation.
        state: The generation.
        queries: What it is asked, over a snapshot.
        floor: Least recall of a slice.
        timer: How long a search takes.
        run_id: Recorded with the result.

    Raises:
        NothingProven: It has not been proven yet.
        IndexUnavailable: The backend does not answer.
    """
    if state.snapshot is None:
        raise NothingProven(
            f"{state.backend} {state.generation} is not proven equal to any snapshot"
        )
    answers = examine(
        lake, target, state.identity, state.snapshot, queries(state, state.snapshot), timer=timer
    )
    verdict = RecallVerdict(
        uuid4().hex,
        state,
        answers,
        judge(answers, floor=floor),
        target.deleted_share(state.identity),
    )
    found = verdict.recall
    measured = Measurement(
        kind=KIND,
        subject=f"{state.backend}/{state.index}/{state.generation}",
        model_version=state.model_version,
        metric=METRIC,
        value=found.recall.mean,
        sample_size=found.queries,
        chunks_version=state.snapshot.chunks,
        details={**found.facts(), "deleted_share": verdict.deleted_share, "slices": found.rows()},
    )
    now = datetime.now(UTC)
    keep(lake, measured, run_id=run_id, now=now, evaluation_id=verdict.evaluation_id)
    return verdict
