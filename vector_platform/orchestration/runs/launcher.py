"""How the daemon starts runs, and how it learns that the process of one is gone.

Belongs here: the run launcher and the queue that `dagster.yaml` names, and the executor that the
processes of runs use.

Dagster's own launcher starts a run and forgets it: a run whose process was killed stays started,
and keeps its place in the pools, for ever. This one answers the daemon's question for it, so the
daemon marks such a run as failed and asks for it once more.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from typing import Any, Self

import dagster as dg

from vector_platform.orchestration.dagster_internals import (
    CheckRunHealthResult,
    LaunchRunContext,
    QueuedRunCoordinator,
    SubmitRunContext,
    WorkerStatus,
)
from vector_platform.orchestration.runs.jobs import ACTOR_TAG
from vector_platform.orchestration.runs.liveness import (
    RunIsTaken,
    hold,
    is_gone,
    is_held,
    launcher_tags,
)
from vector_platform.orchestration.runs.looking import require_sound
from vector_platform.orchestration.runs.processes import end_process
from vector_platform.wiring import Platform

# A run that is told to end has this long to do it, before its process is ended. A kill at any
# line leaves a state from which the next run goes on.
ENDING_SECONDS = 10.0

# Its schema is of a type that Dagster takes and does not name.
_IN_PROCESS: Any = dg.in_process_executor


class WatchedRunLauncher(dg.DefaultRunLauncher):
    """Dagster's default launcher, which also knows whether the process of a run is there."""

    @property
    def supports_check_run_worker_health(self) -> bool:
        """Yes: the daemon asks every `run_monitoring.poll_interval_seconds`."""
        return True

    def check_run_worker_health(self, run: dg.DagsterRun) -> CheckRunHealthResult:
        """Whether the process of a started run is there."""
        if not is_gone(self._instance, run.run_id):
            return CheckRunHealthResult(WorkerStatus.RUNNING)
        return CheckRunHealthResult(WorkerStatus.NOT_FOUND, "the process of the run is gone")

    def launch_run(self, context: LaunchRunContext) -> None:
        """Start a run, and say who does."""
        run_id = context.dagster_run.run_id
        self._instance.add_run_tags(run_id, launcher_tags(run_id))
        super().launch_run(context)

    def terminate(self, run_id: str) -> bool:
        """Tell a run to end, and end its process when it does not, or cannot be told."""
        try:
            told = bool(super().terminate(run_id))  # type: ignore[no-untyped-call]
        except Exception:
            # Its code server is gone, and a process that hangs is still to be ended.
            told = False
        patience = time.monotonic() + (ENDING_SECONDS if told else 0.0)
        while is_held(self._instance, run_id) and time.monotonic() < patience:
            time.sleep(0.1)
        return end_process(self._instance, run_id) or told


class NamingRunCoordinator(QueuedRunCoordinator):
    """Dagster's queue, which also writes down who launched a run.

    Args:
        user_header: The header of the request with the name of its user.
        options: As `QueuedRunCoordinator` has them.
    """

    def __init__(self, user_header: str, **options: Any) -> None:
        super().__init__(**options)
        self._user_header = user_header

    @classmethod
    def config_type(cls) -> Any:
        """The queue's own settings, and the header."""
        options: Any = super().config_type()
        return {**options, "user_header": dg.Field(str)}

    @classmethod
    def from_config_value(cls, inst_data: Any, config_value: Mapping[str, Any]) -> Self:
        """A coordinator as `dagster.yaml` describes it."""
        return cls(inst_data=inst_data, **config_value)

    def submit_run(self, context: SubmitRunContext) -> dg.DagsterRun:
        """Queue a run under the name that the request bears; what its launcher typed is replaced.

        A run without a request, which a sensor or a schedule asks for, has no such name.
        """
        run = context.dagster_run
        name = context.get_request_header(self._user_header)
        if name is not None or ACTOR_TAG in run.tags:
            self._instance.add_run_tags(run.run_id, {ACTOR_TAG: name or ""})
            run = self._instance.get_run_by_id(run.run_id) or run
        return super().submit_run(SubmitRunContext(run, context.workspace))


class _HoldingExecutor(dg.Executor):
    """An executor in a process that holds the lock of its run, and looks before it begins."""

    def __init__(self, inner: dg.Executor, platform: Platform) -> None:
        self._inner, self._platform = inner, platform

    @property
    def retries(self) -> Any:
        return self._inner.retries

    @property
    def step_dependency_config(self) -> Any:
        return self._inner.step_dependency_config

    def execute(self, plan_context: Any, execution_plan: Any) -> Iterator[Any]:
        """Execute the plan. The lock ends with the process, after the run's end is recorded.

        Raises:
            RunIsTaken: Another process has executed this run, or it was given up while this one
                was still loading: another run does its work.
        """
        run, instance = plan_context.dagster_run, plan_context.instance
        hold(instance, run.run_id)
        if instance.all_logs(run.run_id, of_type=dg.DagsterEventType.RUN_FAILURE):
            raise RunIsTaken(f"run {run.run_id} was given up before its process was ready")
        require_sound(self._platform, run)
        yield from self._inner.execute(plan_context, execution_plan)


def holding_executor(platform: Platform) -> dg.ExecutorDefinition:
    """All steps of a run in one process, which says that it is there and looks before it begins."""
    return dg.ExecutorDefinition(
        name="in_process",
        config_schema=_IN_PROCESS.config_schema,
        executor_creation_fn=lambda context: _HoldingExecutor(
            _IN_PROCESS.executor_creation_fn(context), platform
        ),
        description="Execute all steps of a run in one process, after a look at what it needs.",
    )
