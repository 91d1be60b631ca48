"""Past measurements of one thing, for time lines.

Belongs here: reading them from `evaluations`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from vector_platform.lake.lake import Lake
from vector_platform.lake.storage.conditions import Condition

# Evaluations in one time line: two months of nightly ones.
SHOWN = 60


@dataclass(frozen=True)
class Measured:
    """One measurement.

    Attributes:
        at: When.
        value: Of its metric.
        subject: What was measured.
        details: What was recorded with it.
    """

    at: datetime
    value: float
    subject: str
    details: Mapping[str, Any]


def evaluation_history(
    lake: Lake, kind: str, model_version: str, *, subject: str = ""
) -> list[Measured]:
    """The newest measurements of a kind, oldest first.

    Args:
        lake: Where they are.
        kind: Of `evaluations`.
        model_version: Which model.
        subject: How the subject begins.
    """
    where: list[Condition] = [("kind", "==", kind), ("model_version", "==", model_version)]
    columns = ["evaluated_at", "value", "subject", "details"]
    rows = [
        row
        for row in lake.evaluations.read(columns, where=where).to_pylist()
        if row["subject"].startswith(subject)
    ]
    newest = sorted(rows, key=lambda row: row["evaluated_at"])[-SHOWN:]
    return [
        Measured(row["evaluated_at"], row["value"], row["subject"], json.loads(row["details"]))
        for row in newest
    ]
