"""Keeping the evidence of a request current: measured once, and again when the world moved on.

Belongs here: whether kept evidence still holds, and examining a generation anew: catch up,
measure, judge, keep.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from vector_platform.indexes.state import GenerationState
from vector_platform.releases.evaluation.context import ReleaseContext
from vector_platform.releases.evaluation.evidence import Evidence
from vector_platform.releases.evaluation.measuring import chunks_of, collect
from vector_platform.releases.gates.gates import judge
from vector_platform.releases.requests.gate_records import keep_report, kept_evidence
from vector_platform.releases.requests.requests import ReleaseRequest


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
    """Examines the generations of one index on one backend."""

    def __init__(self, context: ReleaseContext) -> None:
        self._context = context

    def kept(self, request: ReleaseRequest) -> Evidence | None:
        """The evidence of a request; None before its first examination."""
        return kept_evidence(self._context.lake, request.evidence_id)

    def is_fresh(self, evidence: Evidence, live: GenerationState | None) -> bool:
        """Whether evidence still holds: neither lake nor live generation moved on, nor time."""
        age = self._context.clock() - datetime.fromisoformat(evidence.measured_at)
        return (
            evidence.newest_snapshot == chunks_of(self._context.lake.snapshot())
            and evidence.champion == (live.generation if live else None)
            and age <= timedelta(hours=self._context.policy.evidence_hours)
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
        context = self._context
        state = context.cutover.catch_up(state, allow_shrink=allow_shrink)
        now = context.clock()
        evidence = collect(context, state, live, now=now)
        report = judge(evidence, context.policy, moment=now)
        evidence_id = keep_report(
            context.lake, request.request_id, report, run_id=context.run_id, now=now
        )
        unsure: list[str] = []
        if known is not None:
            before = judge(known, context.policy, moment=now).named("undecided")
            unsure = sorted({*report.named("undecided")} - {*before})
        return Examined(evidence, evidence_id, now, tuple(unsure))
