"""The one place that reads the history of asset checks.

Belongs here: turning check records of the instance into plain verdicts that sensors decide on. A
failed check that does not block fires no run sensor, so this history is the only way to see it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import dagster as dg

from vector_platform.orchestration import keys
from vector_platform.orchestration.dagster_internals import (
    AssetCheckExecutionRecord,
    PartitionKeyFilter,
)
from vector_platform.orchestration.showing import unfolded
from vector_platform.remediation.checks import CHECKS, QUALITY, Place
from vector_platform.remediation.faults import Verdict
from vector_platform.remediation.reactions import REACTIONS
from vector_platform.settings import Settings

# Records read at once, when the newest ones are still to be evaluated. Not a limit.
PAGE = 20


@dataclass(frozen=True)
class CheckResult:
    """One evaluation of a check.

    Attributes:
        record_id: Position in the instance's history; grows with time.
        partition: Partition that was checked; None for an unpartitioned check.
        passed: The verdict.
        run_id: Run that evaluated it.
        at: When.
        metadata: Its metadata, as plain values.
    """

    record_id: int
    partition: str | None
    passed: bool
    run_id: str
    at: datetime
    metadata: dict[str, Any]


def model_verdicts(
    instance: dg.DagsterInstance, settings: Settings, model_version: str
) -> list[Verdict]:
    """The newest verdict of every check that says something of a model version.

    A check that has never answered is left out: nothing is known of it.
    """
    results = newest_results(instance, _model_checks(settings), partition=model_version)
    results |= newest_results(instance, _corpus_checks(settings), partition=None)
    backends = {keys.index(name, settings): name for name in settings.indexes.backends}
    return [
        Verdict(
            check=key.name,
            asset=keys.plain(key.asset_key, settings),
            model_version=result.partition,
            passed=None if _cannot_tell(key, result) else result.passed,
            backend=backends.get(key.asset_key),
            evaluation_id=str(result.metadata.get("evaluation_id") or f"record-{result.record_id}"),
            run_id=result.run_id,
            at=result.at,
            facts=result.metadata,
        )
        for key, result in results.items()
    ]


def newest_results(
    instance: dg.DagsterInstance, checks: Sequence[dg.AssetCheckKey], *, partition: str | None
) -> dict[dg.AssetCheckKey, CheckResult]:
    """The newest evaluation of each check, of one partition or of unpartitioned checks.

    A check whose newest run ended without evaluating it is left out: an outage is no verdict, and
    what an older run has found may not hold any more. While a run is still to evaluate it, the
    evaluation before that one stands.
    """
    of = PartitionKeyFilter(key=partition)
    newest = instance.event_log_storage.get_latest_asset_check_execution_by_key(
        checks, partition_filter=of
    )
    found = {}
    for key, record in newest.items():
        result = _result(record)
        if result is None and _may_come(instance, record.run_id):
            result = _before(instance, key, record.id, of)
        if result is not None:
            found[key] = result
    return found


def _cannot_tell(key: dg.AssetCheckKey, result: CheckResult) -> bool:
    return key.name == QUALITY and CHECKS[QUALITY].undecided(result.metadata)


def _read(of: Place) -> list[str]:
    """Checks of a place that say something of a fault."""
    shown = dict.fromkeys(check for one in REACTIONS for check in (*one.checks, *one.ruled_out_by))
    return [check for check in shown if CHECKS[check].of == of]


def _corpus_checks(settings: Settings) -> list[dg.AssetCheckKey]:
    chunks = keys.placed(keys.CHUNKS, settings)
    return [dg.AssetCheckKey(chunks, name) for name in _read("lake/chunks")]


def _model_checks(settings: Settings) -> list[dg.AssetCheckKey]:
    """Checks that are partitioned by model version."""
    return [
        *(
            dg.AssetCheckKey(keys.placed(keys.EMBEDDINGS, settings), name)
            for name in _read("lake/embeddings")
        ),
        *(
            dg.AssetCheckKey(keys.placed(keys.RETRIEVAL, settings), name)
            for name in _read("quality/retrieval")
        ),
        *(
            dg.AssetCheckKey(keys.index(backend, settings), name)
            for backend in settings.indexes.backends
            for name in _read("index")
        ),
    ]


def _before(
    instance: dg.DagsterInstance, key: dg.AssetCheckKey, record_id: int, of: PartitionKeyFilter
) -> CheckResult | None:
    """The evaluation before a record that is still to be evaluated."""
    for record in _older(instance, key, record_id, of):
        result = _result(record)
        if result is not None or not _may_come(instance, record.run_id):
            return result
    return None


def _older(
    instance: dg.DagsterInstance, key: dg.AssetCheckKey, record_id: int, of: PartitionKeyFilter
) -> Iterator[AssetCheckExecutionRecord]:
    """Records before one, newest first."""
    while True:
        page = instance.event_log_storage.get_asset_check_execution_history(
            key, limit=PAGE, cursor=record_id, partition_filter=of
        )
        yield from page
        if len(page) < PAGE:
            return
        record_id = page[-1].id


def _result(record: AssetCheckExecutionRecord) -> CheckResult | None:
    evaluation = record.event.asset_check_evaluation if record.event else None
    if record.event is None or evaluation is None:
        return None
    return CheckResult(
        record_id=record.id,
        partition=record.partition,
        # One that can tell nothing is shown as a warning; nothing is known to be wrong.
        passed=evaluation.passed or is_undecided(evaluation),
        run_id=record.run_id,
        at=datetime.fromtimestamp(record.event.timestamp, UTC),
        metadata=unfolded(evaluation.metadata),
    )


def is_undecided(evaluation: dg.AssetCheckEvaluation) -> bool:
    """Whether a check could tell nothing either way, and so is neither passed nor failed."""
    record = CHECKS.get(evaluation.check_name)
    return record is not None and record.undecided(unfolded(evaluation.metadata))


def _may_come(instance: dg.DagsterInstance, run_id: str) -> bool:
    run = instance.get_run_by_id(run_id)
    return run is not None and not run.is_finished
