"""The record of measurements: the one writer and reader of `evaluations`.

Belongs here: what a measurement is, keeping it, and reading those of one kind back. Rows are only
ever appended.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import pyarrow as pa

from vector_platform.lake.contract import EVALUATIONS, canonical_json, hash_text
from vector_platform.lake.lake import Lake
from vector_platform.lake.storage.conditions import Condition

# Measurements in one time line: two months of nightly ones.
SHOWN = 60


@dataclass(frozen=True)
class Measurement:
    """One number that was measured, and what was recorded with it.

    Attributes:
        kind: What was measured, e.g. `retrieval`, `index_recall`, `canaries`, `gates`.
        subject: Of what: a generation, a model, a request, a set of queries.
        model_version: Whose vectors.
        metric: What the value is, e.g. `nDCG@10`.
        value: The number.
        sample_size: Queries, rows or texts that it is of.
        details: What else is known, as plain values.
        chunks_version: Of the chunks that were read; None where none were.
    """

    kind: str
    subject: str
    model_version: str
    metric: str
    value: float
    sample_size: int
    details: Mapping[str, Any] = field(default_factory=dict)
    chunks_version: int | None = None


def keep(
    lake: Lake,
    *measurements: Measurement,
    run_id: str,
    now: datetime,
    evaluation_id: str | None = None,
) -> str:
    """Append measurements that belong to one evaluation, in one commit.

    Args:
        lake: Where.
        measurements: At least one; several differ in kind or metric.
        run_id: The run that measured.
        now: When.
        evaluation_id: Names the evaluation; made from its content and time when None.

    Returns:
        The evaluation id.
    """
    first = measurements[0]
    known = [first.kind, first.subject, canonical_json(first.details), now.isoformat()]
    evaluation_id = evaluation_id or hash_text(canonical_json(known))
    rows = [
        {
            **vars(one),
            "evaluation_id": evaluation_id,
            "details": canonical_json(one.details),
            "run_id": run_id,
            "evaluated_at": now,
        }
        for one in measurements
    ]
    lake.evaluations.append(
        pa.Table.from_pylist(rows, schema=EVALUATIONS.schema),
        {"run_id": run_id, "what": f"{first.kind} {first.subject}"},
    )
    return evaluation_id


def kept_details(lake: Lake, evaluation_id: str) -> dict[str, Any]:
    """What was recorded with an evaluation."""
    rows = lake.evaluations.read(["details"], where=[("evaluation_id", "==", evaluation_id)])
    details: dict[str, Any] = json.loads(rows.column("details")[0].as_py())
    return details


@dataclass(frozen=True)
class PastEvaluation:
    """One measurement of a time line.

    Attributes:
        at: When.
        value: Of its metric.
        subject: What was measured.
        details: What was recorded with it.
        run_id: The run that measured.
    """

    at: datetime
    value: float
    subject: str
    details: Mapping[str, Any]
    run_id: str


def measurements_of(lake: Lake, kind: str, model_version: str) -> list[PastEvaluation]:
    """Every measurement of a kind for a model version, oldest first."""
    where: list[Condition] = [("kind", "==", kind), ("model_version", "==", model_version)]
    columns = ["evaluated_at", "value", "subject", "details", "run_id"]
    rows = lake.evaluations.read(columns, where=where).to_pylist()
    return [
        PastEvaluation(
            row["evaluated_at"],
            row["value"],
            row["subject"],
            json.loads(row["details"]),
            row["run_id"],
        )
        for row in sorted(rows, key=lambda row: row["evaluated_at"])
    ]


def evaluation_history(
    lake: Lake, kind: str, model_version: str, *, subject: str = ""
) -> list[PastEvaluation]:
    """The newest measurements of a kind whose subject begins so, oldest first."""
    return [
        one for one in measurements_of(lake, kind, model_version) if one.subject.startswith(subject)
    ][-SHOWN:]


def times_measured(lake: Lake, kind: str, subject: str) -> int:
    """How often a subject has been measured."""
    where: list[Condition] = [("kind", "==", kind), ("subject", "==", subject)]
    return int(lake.evaluations.read(["evaluation_id"], where=where).num_rows)


@dataclass(frozen=True)
class Evaluation:
    """A retrieval evaluation of a model version.

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
