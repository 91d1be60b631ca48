"""The one place that reads the history of asset checks.

Belongs here: turning check records of the instance into plain values that sensors decide on.
Does not belong here: deciding. A failed check that does not block fires no run sensor, so this
history is the only way to see it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import dagster as dg
from dagster._core.storage.asset_check_execution_record import AssetCheckExecutionRecord

# Records read at once. Not a limit: pages are read until everything unseen has been.
PAGE = 100


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


@dataclass(frozen=True)
class UnseenResults:
    """Evaluations of a check since a position in its history.

    Attributes:
        results: Oldest first.
        settled_id: Every record up to this one has been evaluated, or never will be. The next
            call starts here.
    """

    results: list[CheckResult]
    settled_id: int


def results_since(
    instance: dg.DagsterInstance, key: dg.AssetCheckKey, *, after_id: int
) -> UnseenResults:
    """Evaluations of a check with a record id above `after_id`.

    A record gets its id when its run is planned, and its verdict later: of two runs, the one that
    was planned first may end last. So the position does not move past a check that is still to
    come, and results beyond it are returned again by the next call. Acting on one is therefore
    tied to its identity (`run_key`), not to having been returned.
    """
    settled_id = after_id
    waiting = False
    results = []
    for record in reversed(_records(instance, key, after_id)):
        evaluation = record.event.asset_check_evaluation if record.event else None
        if evaluation is not None:
            results.append(
                CheckResult(
                    record_id=record.id,
                    partition=record.partition,
                    passed=evaluation.passed,
                    run_id=record.run_id,
                    metadata={name: value.value for name, value in evaluation.metadata.items()},
                )
            )
        waiting = waiting or (evaluation is None and _may_come(instance, record.run_id))
        settled_id = settled_id if waiting else record.id
    return UnseenResults(results, settled_id)


def _records(
    instance: dg.DagsterInstance, key: dg.AssetCheckKey, after_id: int
) -> list[AssetCheckExecutionRecord]:
    """Every record above `after_id`, newest first."""
    found: list[AssetCheckExecutionRecord] = []
    while True:
        page = instance.event_log_storage.get_asset_check_execution_history(
            key, limit=PAGE, cursor=found[-1].id if found else None
        )
        found += [record for record in page if record.id > after_id]
        if len(page) < PAGE or page[-1].id <= after_id:
            return found


def _may_come(instance: dg.DagsterInstance, run_id: str) -> bool:
    run = instance.get_run_by_id(run_id)
    return run is not None and not run.is_finished
