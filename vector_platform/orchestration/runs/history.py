"""What happened since a moment: runs, materialisations and checks of an instance, as plain values.

Belongs here: reading the history that the daemon and its runs write, for somebody who follows it
from outside.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal

import dagster as dg

from vector_platform.orchestration import keys
from vector_platform.orchestration.dagster_internals import SENSOR_NAME_TAG
from vector_platform.orchestration.runs.instance import open_instance
from vector_platform.settings import Settings

_STATUS: Mapping[dg.DagsterRunStatus, Literal["started", "succeeded", "failed"]] = {
    dg.DagsterRunStatus.STARTED: "started",
    dg.DagsterRunStatus.SUCCESS: "succeeded",
    dg.DagsterRunStatus.FAILURE: "failed",
    dg.DagsterRunStatus.CANCELED: "failed",
}
_OF_ASSETS = {dg.DagsterEventType.ASSET_MATERIALIZATION, dg.DagsterEventType.ASSET_CHECK_EVALUATION}


@dataclass(frozen=True)
class Happening:
    """One thing that happened.

    Attributes:
        at: When.
        kind: `run`, `asset` or `check`.
        name: Job, asset, or `asset:check`.
        run_id: The run.
        passed: Of a check, its answer; of a run, None until it has ended.
        by: Of a run, the sensor or the reason that asked for it.
        facts: Metadata, as plain values.
    """

    at: datetime
    kind: Literal["run", "asset", "check"]
    name: str
    run_id: str
    passed: bool | None = None
    by: str = ""
    facts: Mapping[str, Any] = field(default_factory=dict)


class History:
    """Follows the instance of a deployment.

    Args:
        settings: The deployment.
    """

    def __init__(self, settings: Settings) -> None:
        self._instance = open_instance(settings)
        self._status: dict[str, str] = {
            run.run_id: _STATUS.get(run.status, "") for run in self._instance.get_runs()
        }
        self._cursors: dict[str, str | None] = {}
        self._ended = set(self._status)

    def close(self) -> None:
        """Let go of the instance."""
        self._instance.dispose()

    def running(self) -> list[str]:
        """Names of the runs that have not ended."""
        unfinished = self._instance.get_runs(dg.RunsFilter(statuses=_UNFINISHED))
        return [_name(run) for run in unfinished]

    def new(self) -> list[Happening]:
        """What happened since the last call, or since this was opened."""
        found: list[Happening] = []
        for run in reversed(self._instance.get_runs()):
            if run.run_id in self._ended:
                continue
            status = _STATUS.get(run.status, "")
            found += self._events(run)
            if status and status != self._status.get(run.run_id):
                self._status[run.run_id] = status
                passed = None if status == "started" else status == "succeeded"
                found.append(
                    Happening(datetime.now(UTC), "run", _name(run), run.run_id, passed, _by(run))
                )
            if run.is_finished:
                self._ended.add(run.run_id)
        return found

    def _events(self, run: dg.DagsterRun) -> Iterator[Happening]:
        page = self._instance.get_records_for_run(
            run.run_id, cursor=self._cursors.get(run.run_id), of_type=_OF_ASSETS
        )
        self._cursors[run.run_id] = page.cursor
        for record in page.records:
            entry = record.event_log_entry
            at = datetime.fromtimestamp(entry.timestamp, UTC)
            check, made = entry.asset_check_evaluation, entry.asset_materialization
            if check is not None:
                name = f"{check.asset_key.to_user_string()}:{check.check_name}"
                yield Happening(
                    at, "check", name, run.run_id, check.passed, facts=_plain(check.metadata)
                )
            elif made is not None:
                name = made.asset_key.to_user_string()
                yield Happening(at, "asset", name, run.run_id, facts=_plain(made.metadata))


_UNFINISHED = [
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
]


def _plain(metadata: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value.value for name, value in metadata.items()}


def _name(run: dg.DagsterRun) -> str:
    if run.asset_selection or run.asset_check_selection:
        assets = sorted(key.to_user_string() for key in run.asset_selection or ())
        return ", ".join(assets)
    return run.job_name


def _by(run: dg.DagsterRun) -> str:
    return run.tags.get(keys.REASON_TAG) or run.tags.get(SENSOR_NAME_TAG, "")
