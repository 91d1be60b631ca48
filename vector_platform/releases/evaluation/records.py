"""Reading and keeping the measurements that releases rest on, in the lake's `evaluations`.

Belongs here: the newest retrieval scores of each model, and the reports of gates.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import pyarrow as pa

from vector_platform.lake.contract import EVALUATIONS, canonical_json, hash_text
from vector_platform.lake.lake import Lake
from vector_platform.lake.storage.conditions import Condition
from vector_platform.releases.evaluation.evidence import Evidence, evidence_of
from vector_platform.releases.gates.gates import GateReport, judge
from vector_platform.releases.gates.report import report_facts
from vector_platform.releases.requests.requests import ReleaseRequest
from vector_platform.settings import Releases

GATES = "gates"
SHADOW = "shadow"
WATCH = "watch"


@dataclass(frozen=True)
class Evaluation:
    """An evaluation of a model version.

    Attributes:
        model_version: Which model.
        evaluation_id: Where it is recorded.
        value: Mean of its scores.
        scores: Query -> score.
        judgements: Query -> a hash of what the score was judged by; see `judged_alike`.
        evaluated_at: When.
        chunks_version: Of the chunks that were searched.
        answers: Query -> a hash of the documents found, in their order.
        seen: Queries that the model was trained on.
    """

    model_version: str
    evaluation_id: str
    value: float
    scores: dict[str, float]
    judgements: dict[str, str]
    evaluated_at: datetime
    chunks_version: int | None
    answers: dict[str, str]
    seen: frozenset[str]


def evaluations_of(lake: Lake, metric: str) -> list[Evaluation]:
    """Every retrieval evaluation that says what it was judged by and found, oldest first.

    One from before all of that was recorded counts as none. It could show a fall where only a
    judgement has changed, and taken as equal it could hide one; without it the model is
    evaluated once more, and that is its record.
    """
    wanted: list[Condition] = [("kind", "==", "retrieval"), ("metric", "==", metric)]
    rows = sorted(
        lake.evaluations.read(where=wanted).to_pylist(), key=lambda row: row["evaluated_at"]
    )
    return [
        Evaluation(
            row["model_version"],
            row["evaluation_id"],
            row["value"],
            details["scores"],
            details["judgements"],
            row["evaluated_at"],
            row["chunks_version"],
            details["answers"],
            frozenset(details["seen"]),
        )
        for row in rows
        if "answers" in (details := json.loads(row["details"]))
    ]


def newest_evaluations(lake: Lake, metric: str) -> dict[str, Evaluation]:
    """The newest retrieval evaluation of each model version, by model version."""
    return {found.model_version: found for found in evaluations_of(lake, metric)}


def judged_alike(one: Evaluation, other: Evaluation) -> set[str]:
    """The queries whose scores can be compared: asked in both, by the same judgements."""
    return {query for query, _ in one.judgements.items() & other.judgements.items()}


def keep_report(
    lake: Lake, request_id: str, report: GateReport, *, run_id: str, now: datetime
) -> str:
    """Keep a report with its evidence. Returns the evaluation id."""
    return keep(
        lake,
        kind=GATES,
        subject=request_id,
        model_version=report.evidence.model_version,
        value=float(report.outcome == "pass"),
        sample_size=report.evidence.rows,
        details={"report": report_facts(report), "evidence": report.evidence.facts()},
        run_id=run_id,
        now=now,
    )


def kept_evidence(lake: Lake, evaluation_id: str | None) -> Evidence | None:
    """The evidence of a kept report."""
    if evaluation_id is None:
        return None
    rows = lake.evaluations.read(["details"], where=[("evaluation_id", "==", evaluation_id)])
    return evidence_of(json.loads(rows.column("details")[0].as_py())["evidence"])


def kept_report(lake: Lake, request: ReleaseRequest, policy: Releases) -> GateReport | None:
    """The report of a request's gates at the moment it was last looked at; None before that."""
    evidence = kept_evidence(lake, request.evidence_id)
    return judge(evidence, policy, moment=request.updated_at) if evidence else None


def keep(
    lake: Lake,
    *,
    kind: str,
    subject: str,
    model_version: str,
    value: float,
    sample_size: int,
    details: dict[str, Any],
    run_id: str,
    now: datetime,
) -> str:
    """Append one measurement; its metric is its kind. Returns the evaluation id."""
    text = canonical_json(details)
    evaluation_id = hash_text(canonical_json([kind, subject, text, now.isoformat()]))
    row = {
        "evaluation_id": evaluation_id,
        "kind": kind,
        "subject": subject,
        "model_version": model_version,
        "metric": kind,
        "value": value,
        "sample_size": sample_size,
        "chunks_version": None,
        "details": text,
        "run_id": run_id,
        "evaluated_at": now,
    }
    lake.evaluations.append(
        pa.Table.from_pylist([row], schema=EVALUATIONS.schema), {"run_id": run_id}
    )
    return evaluation_id
