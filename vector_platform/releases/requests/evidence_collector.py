"""Keeping the evidence of a request current: measured once, and again when the world moved on.

Belongs here: whether kept evidence still holds, and examining a generation anew: catch up,
measure, judge, keep.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import datetime, timedelta

from vector_platform.indexes.base import VectorIndex
from vector_platform.indexes.state import GenerationState
from vector_platform.indexes.sync.sync import IndexSync
from vector_platform.lake.decisions import Clock, utc_now
from vector_platform.lake.lake import Lake
from vector_platform.quality.recall.index_recall import Timer
from vector_platform.releases.evaluation.evidence import Evidence
from vector_platform.releases.evaluation.measuring import RecallQueries, chunks_of, collect
from vector_platform.releases.evaluation.probes import Probes
from vector_platform.releases.gates.gates import judge
from vector_platform.releases.pointer.cutover import catch_up
from vector_platform.releases.pointer.live import LivePointer
from vector_platform.releases.requests.gate_records import keep_report, kept_evidence
from vector_platform.releases.requests.requests import ReleaseRequest
from vector_platform.settings import Releases


@dataclass(frozen=True)
class Examined:
    """What an examination found.

    Attributes:
        evidence: What was measured.
        evidence_id: The evaluation that keeps it.
        examined_at: When.
        unsure: Gates that cannot tell any more, although they could by the evidence before.
    """

    evidence: Evidence
    evidence_id: str
    examined_at: datetime
    unsure: tuple[str, ...]


class EvidenceCollector:
    """Examines the generations of one index on one backend.

    Args:
        lake: Where evaluations are.
        pointer: The live pointer.
        target: The backend.
        sync: Its sync.
        index: Logical index.
        policy: Gates' bars, and how long evidence holds.
        metric: Metric by which models are compared.
        recall_floor: Least recall of a generation.
        recall_queries: Queries that recall is measured with.
        probes: Queries under a model version that latency is compared with.
        run_id: Recorded with every evaluation.
        clock: When it is.
        timer: How long a search takes.
    """

    def __init__(
        self,
        lake: Lake,
        pointer: LivePointer,
        target: VectorIndex,
        sync: IndexSync,
        *,
        index: str,
        policy: Releases,
        metric: str,
        recall_floor: float,
        recall_queries: RecallQueries,
        probes: Probes,
        run_id: str,
        clock: Clock = utc_now,
        timer: Timer = time.perf_counter,
    ) -> None:
        self.metric = metric
        self.timer = timer
        self.probes = probes
        self._lake = lake
        self._pointer = pointer
        self._target = target
        self._sync = sync
        self._index = index
        self._policy = policy
        self._recall_floor = recall_floor
        self._recall_queries = recall_queries
        self._run_id = run_id
        self._clock = clock

    def kept(self, request: ReleaseRequest) -> Evidence | None:
        """The evidence of a request; None before its first examination."""
        return kept_evidence(self._lake, request.evidence_id)

    def is_fresh(self, evidence: Evidence, live: GenerationState | None) -> bool:
        """Whether evidence still holds: neither lake nor live generation moved on, nor time."""
        age = self._clock() - datetime.fromisoformat(evidence.measured_at)
        return (
            evidence.newest_snapshot == chunks_of(self._lake.snapshot())
            and evidence.champion == (live.generation if live else None)
            and age <= timedelta(hours=self._policy.evidence_hours)
        )

    def examine(
        self,
        request: ReleaseRequest,
        state: GenerationState,
        live: GenerationState | None,
        *,
        known: Evidence | None,
        allow_shrink: bool,
    ) -> Examined:
        """Bring a generation to the newest snapshot, measure it beside the live one, and keep it.

        Args:
            request: Who it is for.
            state: The generation.
            live: What readers see.
            known: The evidence so far.
            allow_shrink: Whether readers may lose more rows than the guard lets go.

        Raises:
            MeasurementFailed: The backend did not answer; nothing is kept.
            ReleaseShrinks: Readers would lose too many rows.
            SyncInProgress: Somebody is writing the index.
        """
        state = catch_up(self._pointer, self._sync, state, allow_shrink=allow_shrink)
        now = self._clock()
        evidence = collect(
            self._lake,
            self._target,
            self._sync,
            state,
            live,
            index=self._index,
            metric=self.metric,
            recall_floor=self._recall_floor,
            recall_queries=self._recall_queries,
            probes=self.probes,
            timer=self.timer,
            now=now,
        )
        report = judge(evidence, self._policy, moment=now)
        evidence_id = keep_report(
            self._lake, request.request_id, report, run_id=self._run_id, now=now
        )
        unsure: list[str] = []
        if known is not None:
            before = judge(known, self._policy, moment=now).named("undecided")
            unsure = sorted({*report.named("undecided")} - {*before})
        return Examined(evidence, evidence_id, now, tuple(unsure))
