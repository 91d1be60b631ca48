"""The one place that reads the history of asset checks.

Belongs here: turning check records of the instance into plain values that sensors decide on.
Does not belong here: deciding. A failed check that does not block fires no run sensor, so this
history is the only way to see it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import dagster as dg

# The newest results of one check and partition that a sensor looks at. A tick that comes every
# minute sees each result; after a long pause the newest are the ones that still matter.
HISTORY = 20


@dataclass(frozen=True)
class CheckResult:
    """One evaluation of a check.

    Attributes:
        record_id: Position in the instance's history; grows with time.
        partition: Partition that was checked; None for an unpartitioned check.
        passed: The verdict.
        run_id: Run that evaluated it.
        metadata: Its metadata, as plain values.
    """

    record_id: int
    partition: str | None
    passed: bool
    run_id: str
    metadata: dict[str, Any]


def results_since(
    instance: dg.DagsterInstance, key: dg.AssetCheckKey, *, after_id: int
) -> list[CheckResult]:
    """Evaluations of a check with a record id above `after_id`, oldest first."""
    records = instance.event_log_storage.get_asset_check_execution_history(key, limit=HISTORY)
    results = []
    for record in records:
        evaluation = record.event.asset_check_evaluation if record.event else None
        if evaluation is None or record.id <= after_id:
            continue  # planned but not evaluated, or seen before
        results.append(
            CheckResult(
                record_id=record.id,
                partition=record.partition,
                passed=evaluation.passed,
                run_id=record.run_id,
                metadata={name: value.value for name, value in evaluation.metadata.items()},
            )
        )
    return sorted(results, key=lambda result: result.record_id)
