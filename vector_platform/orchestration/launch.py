"""Real Dagster runs, launched from this process.

Belongs here: executing assets and jobs against the shared instance, so that what the CLI does is
seen in the UI like everything else.

Runs execute in this process: one import of the libraries and one loaded model serve all of them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import dagster as dg

from vector_platform.errors import VectorPlatformError
from vector_platform.orchestration.build import build_definitions
from vector_platform.orchestration.partitions import follow_models
from vector_platform.orchestration.runs.instance import open_instance
from vector_platform.orchestration.runs.liveness import hold, let_go
from vector_platform.orchestration.runs.logs import PROGRESS
from vector_platform.orchestration.runs.recovery import end_abandoned_runs
from vector_platform.wiring import Platform


class RunFailed(VectorPlatformError):
    """A Dagster run failed; the message says which step and why."""


@dataclass(frozen=True)
class RunOutcome:
    """What a run left behind.

    Attributes:
        run_id: Dagster's id of the run.
        metadata: Asset key -> metadata of its materialisation, plain values.
        failed_checks: `asset:check` of checks that did not pass.
        outputs: Op name -> output value, for jobs.
    """

    run_id: str
    metadata: Mapping[str, Mapping[str, Any]]
    failed_checks: tuple[str, ...]
    outputs: Mapping[str, Any]

    @property
    def output(self) -> Any:
        """What the only op of a job returned."""
        (value,) = self.outputs.values()
        return value


class Runs:
    """Launches runs of one deployment."""

    def __init__(self, platform: Platform, *, instance: dg.DagsterInstance | None = None) -> None:
        self.platform = platform
        self.instance = instance or open_instance(platform.settings)
        end_abandoned_runs(self.instance)
        follow_models(platform, self.instance)
        self.definitions = build_definitions(
            settings=platform.settings, resources={"platform": platform}
        )

    def materialize(
        self,
        assets: Sequence[dg.AssetKey],
        *,
        partition: str | None = None,
        config: Mapping[str, Any] | None = None,
        tags: Mapping[str, str] | None = None,
    ) -> RunOutcome:
        """Materialise assets, with their checks, in one run.

        Raises:
            RunFailed: A step failed, or a blocking check did not pass.
        """
        job = self.definitions.resolve_implicit_job_def_def_for_assets(assets)
        assert job is not None
        return self._execute(
            job, asset_selection=list(assets), partition_key=partition, run_config=config, tags=tags
        )

    def job(
        self, name: str, config: dg.Config | None = None, *, partition: str | None = None
    ) -> RunOutcome:
        """Execute a job by name.

        Args:
            name: The job.
            config: Of its first op.
            partition: Of a partitioned job.

        Raises:
            RunFailed: A step failed.
        """
        job = self.definitions.resolve_job_def(name)
        run_config = None
        if config is not None:
            first = job.nodes_in_topological_order[0].name
            run_config = dg.RunConfig({first: config}).to_config_dict()  # type: ignore[no-untyped-call]
        return self._execute(job, run_config=run_config, partition_key=partition)

    def _execute(
        self, job: dg.JobDefinition, *, run_config: Mapping[str, Any] | None, **options: Any
    ) -> RunOutcome:
        # What tools print of themselves (dbt does) goes to a file; progress is on standard error.
        log = self.platform.data_dir / "logs" / "runs.log"
        log.parent.mkdir(parents=True, exist_ok=True)
        run_id = str(uuid4())
        hold(self.instance, run_id)
        try:
            with log.open("a", encoding="utf-8") as output, redirect_stdout(output):
                result = job.execute_in_process(
                    instance=self.instance,
                    raise_on_error=False,
                    run_config={**(run_config or {}), "loggers": {PROGRESS: {}}},
                    run_id=run_id,
                    **options,
                )
        finally:
            let_go(run_id)
        events = result.all_events
        checks = [
            e.asset_check_evaluation_data
            for e in events
            if e.event_type is dg.DagsterEventType.ASSET_CHECK_EVALUATION
        ]
        failed_checks = tuple(
            f"{check.asset_key.to_user_string()}:{check.check_name}"
            for check in checks
            if not check.passed
        )
        if not result.success:
            raise RunFailed(_failure(result, failed_checks))
        metadata = {
            e.asset_key.to_user_string(): {
                name: value.value for name, value in e.materialization.metadata.items()
            }
            for e in events
            if e.event_type is dg.DagsterEventType.ASSET_MATERIALIZATION and e.asset_key is not None
        }
        plain = not job.asset_layer.asset_graph.materializable_asset_keys
        outputs = {node.name: result.output_for_node(node.name) for node in job.nodes if plain}
        return RunOutcome(result.run_id, metadata, failed_checks, outputs)


def _failure(result: Any, failed_checks: Sequence[str]) -> str:
    causes = []
    for event in result.all_events:
        if event.is_step_failure:
            data = event.step_failure_data
            said = data.user_failure_data.description if data.user_failure_data else None
            causes.append(f"{event.step_key}: {said or _said(data.error)}")
    checks = f" (failed checks: {', '.join(failed_checks)})" if failed_checks else ""
    return f"run {result.run_id} failed{checks}\n" + "\n".join(causes)


def _said(error: Any) -> str:
    """What the platform said of a failure, which names the way out; else the first cause."""
    ours = _names_of(VectorPlatformError)
    while error and error.cause:
        if error.cls_name in ours:
            break
        error = error.cause
    if error is None:
        return "failed"
    message = str(error.message).strip()
    return message.partition(": ")[2] if error.cls_name in ours else message


def _names_of(kind: type[Exception]) -> set[str]:
    return {kind.__name__}.union(*map(_names_of, kind.__subclasses__()))
