"""Real Dagster runs, launched from this process.

Belongs here: executing assets and jobs against the shared instance, so that what the CLI does is
seen in the UI like everything else.

Runs execute in this process: one import of the libraries and one loaded model serve all of them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any
from uuid import uuid4

import dagster as dg

from vector_platform.errors import RefusedByPolicy, VectorPlatformError
from vector_platform.orchestration import keys
from vector_platform.orchestration.build import build_definitions
from vector_platform.orchestration.check_results import is_undecided
from vector_platform.orchestration.dagster_internals import (
    ASSET_PARTITION_RANGE_END_TAG,
    ASSET_PARTITION_RANGE_START_TAG,
)
from vector_platform.orchestration.ingest.assets import landing_config, upstream_of
from vector_platform.orchestration.partitions import follow_models
from vector_platform.orchestration.runs.instance import open_instance
from vector_platform.orchestration.runs.liveness import hold, let_go
from vector_platform.orchestration.runs.logs import PROGRESS, output_of_tools
from vector_platform.orchestration.runs.recovery import end_abandoned_runs
from vector_platform.wiring import Platform


class RunFailed(VectorPlatformError):
    """A Dagster run failed; the message says which step and why."""


class RunRefused(RunFailed, RefusedByPolicy):
    """A Dagster run failed because policy forbids what it was to do."""


@dataclass(frozen=True)
class RunOutcome:
    """What a run left behind.

    Attributes:
        run_id: Dagster's id of the run.
        metadata: Asset -> metadata of its materialisation, plain values. Assets are called here
            as within the deployment, without its `key_prefix`.
        failed_checks: `asset:check` of checks that did not pass.
        outputs: Op name -> output value, for jobs.
        failures: Asset -> what its step said, of those that failed where that was allowed.
    """

    run_id: str
    metadata: Mapping[str, Mapping[str, Any]]
    failed_checks: tuple[str, ...]
    outputs: Mapping[str, Any]
    failures: Mapping[str, str] = field(default_factory=dict)

    @property
    def output(self) -> Any:
        """What the only op of a job returned."""
        (value,) = self.outputs.values()
        return value


class Runs:
    """Launches runs of one deployment.

    Args:
        platform: The deployment.
        instance: Where runs are recorded; its own by default.
        verbose: Whether what Dagster and libraries say is shown, too, on standard error.
    """

    def __init__(
        self,
        platform: Platform,
        *,
        instance: dg.DagsterInstance | None = None,
        verbose: bool = False,
    ) -> None:
        self.platform, self._verbose = platform, verbose
        self.instance = instance or open_instance(platform.settings)
        end_abandoned_runs(self.instance)
        follow_models(platform, self.instance)
        # Assets of others are not here; what they have returned is where Dagster keeps it.
        others = {upstream_of(spec) for spec in platform.settings.sources.values()}
        self.definitions = dg.Definitions.merge(
            build_definitions(settings=platform.settings, resources={"platform": platform}),
            dg.Definitions(assets=[dg.AssetSpec(key) for key in others if key is not None]),
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

        Args:
            assets: What is materialised.
            partition: Of partitioned assets.
            config: Run configuration.
            tags: Tags of the run.

        Raises:
            RunFailed: A step failed, or a blocking check did not pass.
        """
        chosen = [keys.placed(key, self.platform.settings) for key in assets]
        job = self.definitions.resolve_implicit_job_def_def_for_assets(chosen)
        assert job is not None
        return self._execute(
            job, asset_selection=chosen, partition_key=partition, run_config=config, tags=tags
        )

    def land(self, sources: Sequence[str], day: date, *, since: date | None = None) -> RunOutcome:
        """Land a day of sources, each by itself: one that fails stops no other.

        Args:
            sources: Their names.
            day: The day; with it earlier ones that nobody has landed.
            since: Exactly the days from this one on instead, in one run.

        Raises:
            RunFailed: All of them failed.
        """
        settings = self.platform.settings
        assets = [keys.placed(keys.raw(name), settings) for name in sources]
        chosen: dict[str, Any] = {"partition_key": day.isoformat(), "run_config": None}
        if since is not None:
            ends = (ASSET_PARTITION_RANGE_START_TAG, ASSET_PARTITION_RANGE_END_TAG)
            chosen = {
                "tags": dict(zip(ends, (since.isoformat(), day.isoformat()), strict=True)),
                "run_config": landing_config(settings, sources, earlier_days=False),
            }
        return self._execute(
            self.definitions.resolve_job_def(keys.named("ingest_day", settings)),
            asset_selection=assets,
            **chosen,
            may_fail=[key.to_python_identifier() for key in assets],
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
        job = self.definitions.resolve_job_def(keys.named(name, self.platform.settings))
        run_config = None
        if config is not None:
            first = job.nodes_in_topological_order[0].name
            run_config = dg.RunConfig({first: config}).to_config_dict()  # type: ignore[no-untyped-call]
        return self._execute(job, run_config=run_config, partition_key=partition)

    def _execute(
        self,
        job: dg.JobDefinition,
        *,
        run_config: Mapping[str, Any] | None,
        may_fail: Sequence[str] = (),
        **options: Any,
    ) -> RunOutcome:
        log = self.platform.data_dir / "logs" / "runs.log"
        loggers = {PROGRESS: {"config": {"everything": self._verbose}}}
        run_id = str(uuid4())
        hold(self.instance, run_id)
        try:
            with output_of_tools(log, everything=self._verbose):
                result = job.execute_in_process(
                    instance=self.instance,
                    raise_on_error=False,
                    run_config={**(run_config or {}), "loggers": loggers},
                    run_id=run_id,
                    **options,
                )
        except dg.DagsterInvalidConfigError as error:
            wrong = "; ".join(one.message for one in error.errors)
            raise RunFailed(f"{job.name} was not started: {wrong}") from error
        finally:
            let_go(run_id)
        events, settings = result.all_events, self.platform.settings
        checks = [
            e.asset_check_evaluation_data
            for e in events
            if e.event_type is dg.DagsterEventType.ASSET_CHECK_EVALUATION
        ]
        failed_checks = tuple(
            f"{keys.plain(check.asset_key, settings)}:{check.check_name}"
            for check in checks
            if not (check.passed or is_undecided(check))
        )
        failed = [event for event in events if event.is_step_failure]
        steps = [str(event.step_key) for event in failed]
        if not result.success and (set(may_fail) <= set(steps) or set(steps) - set(may_fail)):
            refused = _names_of(RefusedByPolicy)
            kinds = [_cause(event.step_failure_data.error) for event in failed]
            is_refused = bool(kinds) and all(one and one.cls_name in refused for one in kinds)
            raise (RunRefused if is_refused else RunFailed)(_failure(result, failed_checks))
        metadata = {
            keys.plain(e.asset_key, settings): {
                name: value.value for name, value in e.materialization.metadata.items()
            }
            for e in events
            if e.event_type is dg.DagsterEventType.ASSET_MATERIALIZATION and e.asset_key is not None
        }
        plain = not job.asset_layer.asset_graph.materializable_asset_keys
        outputs = {node.name: result.output_for_node(node.name) for node in job.nodes if plain}
        failures = {str(event.step_key): _told(event) for event in failed}
        return RunOutcome(result.run_id, metadata, failed_checks, outputs, failures)


def _failure(result: Any, failed_checks: Sequence[str]) -> str:
    causes = [
        f"{event.step_key}: {_told(event)}" for event in result.all_events if event.is_step_failure
    ]
    checks = f" (failed checks: {', '.join(failed_checks)})" if failed_checks else ""
    return f"run {result.run_id} failed{checks}\n" + "\n".join(causes)


def _told(event: Any) -> str:
    """What is said of the failure of a step."""
    data = event.step_failure_data
    described = data.user_failure_data.description if data.user_failure_data else None
    return str(described or _said(data.error))


def _cause(error: Any) -> Any:
    """The platform's error behind a failure; else the first cause."""
    ours = _names_of(VectorPlatformError)
    while error and error.cause and error.cls_name not in ours:
        error = error.cause
    return error


def _said(error: Any) -> str:
    """What the platform said of a failure, which names the way out; else the first cause."""
    error = _cause(error)
    if error is None:
        return "failed"
    message = str(error.message).strip()
    return (
        message.partition(": ")[2] if error.cls_name in _names_of(VectorPlatformError) else message
    )


def _names_of(kind: type[Exception]) -> set[str]:
    return {kind.__name__}.union(*map(_names_of, kind.__subclasses__()))
