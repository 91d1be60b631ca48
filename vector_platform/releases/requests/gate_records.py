"""The reports of a request's gates, with their evidence, in the lake's `evaluations`."""

from __future__ import annotations

from datetime import datetime

from vector_platform.lake.evaluations import Measurement, keep, kept_details
from vector_platform.lake.lake import Lake
from vector_platform.releases.evaluation.evidence import Evidence, evidence_of
from vector_platform.releases.gates.gates import GateReport, judge
from vector_platform.releases.gates.report import report_facts
from vector_platform.releases.requests.requests import ReleaseRequest
from vector_platform.settings import Releases

GATES = "gates"


def keep_report(
    lake: Lake, request_id: str, report: GateReport, *, run_id: str, now: datetime
) -> str:
    """Keep a report with its evidence. Returns the evaluation id."""
    evidence = report.evidence
    measured = Measurement(
        kind=GATES,
        subject=request_id,
        model_version=evidence.model_version,
        metric=GATES,
        value=float(report.outcome == "pass"),
        sample_size=evidence.rows,
        details={"report": report_facts(report), "evidence": evidence.facts()},
    )
    return keep(lake, measured, run_id=run_id, now=now)


def kept_evidence(lake: Lake, evaluation_id: str | None) -> Evidence | None:
    """The evidence of a kept report."""
    if evaluation_id is None:
        return None
    return evidence_of(kept_details(lake, evaluation_id)["evidence"])


def kept_report(lake: Lake, request: ReleaseRequest, policy: Releases) -> GateReport | None:
    """The report of a request's gates at the moment it was last looked at; None before that."""
    evidence = kept_evidence(lake, request.evidence_id)
    return judge(evidence, policy, moment=request.updated_at) if evidence else None
