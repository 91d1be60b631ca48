"""Measuring the recall of a generation, and keeping the result.

Belongs here: the queries, the measurement and its record for one generation of a deployment.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import uuid4

from vector_platform.errors import TerminalError
from vector_platform.indexes.state import GenerationState
from vector_platform.lake.evaluations import Measurement, keep
from vector_platform.quality.recall.index_recall import Answers, IndexRecall, examine, judge
from vector_platform.settings import BackendName
from vector_platform.wiring import Platform

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


def measure_recall(
    platform: Platform, backend: BackendName, model_version: str, *, run_id: str
) -> RecallVerdict:
    """Measure what readers see of a model version, and record the result.

    That is the live generation; of a model version that is not live, its newest. What waits for
    its release is measured by the gates, and must not hide what readers miss until then.

    Raises:
        NothingProven: No generation has been proven yet.
        IndexUnavailable: The backend does not answer.
    """
    following = platform.live_pointer(backend).following(model_version)
    if not following:
        raise NothingProven(f"{backend} has no generation of {model_version} to measure")
    return measure_generation(platform, backend, following[0], run_id=run_id)


def measure_generation(
    platform: Platform, backend: BackendName, state: GenerationState, *, run_id: str
) -> RecallVerdict:
    """Measure a generation against the snapshot it is proven equal to, and record the result.

    Raises:
        NothingProven: It has not been proven yet.
        IndexUnavailable: The backend does not answer.
    """
    lake = platform.lake
    if state.snapshot is None:
        raise NothingProven(f"{backend} {state.generation} is not proven equal to any snapshot")
    target = platform.target(backend)
    queries = platform.recall_queries(state, state.snapshot)
    answers = examine(lake, target, state.identity, state.snapshot, queries, timer=platform.timer)
    verdict = RecallVerdict(
        uuid4().hex,
        state,
        answers,
        judge(answers, floor=platform.settings.quality.recall_floor),
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
