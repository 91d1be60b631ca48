"""Verdicts by real runs, and the sensors of the real definitions ticked on them.

Belongs here: small assets whose checks answer what a test says, under the names of the platform's
own, run on the test's instance, or only recorded there where a test is about the ticks alone; and
`Sensor`, one real sensor with its requests executed as the daemon does.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping, Sequence
from copy import copy
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import dagster as dg
from dagster._core.storage.tags import RUN_KEY_TAG
from dagster._core.test_utils import freeze_time

from vector_platform.orchestration import keys
from vector_platform.orchestration.build import build_definitions
from vector_platform.orchestration.showing import unfolded
from vector_platform.remediation import checks
from vector_platform.wiring import Platform
from vector_platform_tests.orchestration.harness import OLD

BACKENDS = ("milvus", "pinecone")

MOVED = {
    "global_alarm": True,
    "acts": True,
    "novel_share_low": 0.2,
    "outcome": "drift",
    "slices_alarmed": [],
}


@dataclass(frozen=True)
class Says:
    """What a check answers in a run.

    Attributes:
        check: Its name.
        passed: The answer; None: the run dies before it answers.
        backend: For checks of an index.
        facts: Its metadata.
    """

    check: str
    passed: bool | None = True
    backend: str | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)

    @property
    def asset(self) -> dg.AssetKey:
        if self.backend:
            return dg.AssetKey([self.backend, "documents"])
        if self.check == checks.QUALITY:
            return keys.RETRIEVAL
        return keys.CHUNKS if self.check.startswith("chunks") else keys.EMBEDDINGS

    @property
    def metadata(self) -> dict[str, Any]:
        return {
            name: dg.MetadataValue.json(value) if isinstance(value, list) else value
            for name, value in self.facts.items()
        }


def well(*but: Says) -> list[Says]:
    """Every check of a model version, passed, but for those that say something else."""
    of_index = (checks.PARITY, checks.REFUSED, checks.RECALL)
    names = (checks.CANARY, checks.VECTORS, checks.COMPLETE, checks.DRIFT)
    says = [
        *(Says(name) for name in names),
        Says(checks.QUALITY, facts={"verdict": "not worse"}),
        *(Says(name, True, backend) for backend in BACKENDS for name in of_index),
    ]
    replaced = {(each.check, each.backend): each for each in but}
    return [replaced.get((each.check, each.backend), each) for each in says]


def measured(
    check: str, evaluation: str, backend: str | None = None, *, passed: bool = False, **facts: Any
) -> Says:
    """What a check answers, with the identity of its measurement."""
    return Says(check, passed, backend, {"evaluation_id": evaluation} | facts)


def lost(evaluation: str, backend: str = "milvus") -> Says:
    """Recall of an index is below its floor."""
    facts = {
        "recall": 0.95,
        "worst_recall": 0.5,
        "floor": 0.9,
        "worst_slice": "tenant=iam",
        "evaluation_id": evaluation,
    }
    return Says(checks.RECALL, False, backend, facts)


def worse(evaluation: str, champion: str = OLD) -> Says:
    """The champion finds less than at its release."""
    facts = {
        "verdict": "worse",
        "difference": -0.1,
        "champion": champion,
        "evaluation_id": evaluation,
    }
    return Says(checks.QUALITY, False, facts=facts)


def moved(evaluation: str, **facts: Any) -> Says:
    """The distribution of a model version's vectors moved."""
    return Says(checks.DRIFT, False, facts=MOVED | {"evaluation_id": evaluation} | facts)


def moved_slices(evaluation: str, *slices: Mapping[str, Any]) -> Says:
    """The distribution of some slices moved, while the whole is quiet."""
    return moved(evaluation, global_alarm=False, acts=False, slices_alarmed=list(slices))


def record_checks(instance: dg.DagsterInstance, model_version: str | None, *says: Says) -> None:
    """What a run of `run_checks` leaves in the history of checks, without running it."""
    run = dg.DagsterRun(job_name="checks", status=dg.DagsterRunStatus.SUCCESS)
    instance.add_run(run)
    for each in says:
        assert each.passed is not None, "a run that dies is a run: run_checks"
        instance.report_dagster_event(
            dg.DagsterEvent(
                event_type_value=dg.DagsterEventType.ASSET_CHECK_EVALUATION.value,
                job_name=run.job_name,
                event_specific_data=dg.AssetCheckEvaluation(
                    asset_key=each.asset,
                    check_name=each.check,
                    passed=each.passed,
                    metadata=each.metadata,
                    partition=model_version,
                ),
            ),
            run.run_id,
        )


def run_checks(instance: dg.DagsterInstance, model_version: str | None, *says: Says) -> None:
    """One real run that materialises the assets of some checks, and answers them in order."""
    warnings.filterwarnings("ignore", category=dg.PreviewWarning)
    partitions = dg.StaticPartitionsDefinition([model_version]) if model_version else None
    by_asset: dict[dg.AssetKey, list[Says]] = {}
    for each in says:
        by_asset.setdefault(each.asset, []).append(each)
    assets = [_asset(key, answers, partitions) for key, answers in by_asset.items()]
    dg.materialize(assets, instance=instance, partition_key=model_version, raise_on_error=False)


def _asset(
    key: dg.AssetKey, answers: Sequence[Says], partitions: dg.PartitionsDefinition | None
) -> dg.AssetsDefinition:
    specs = [
        dg.AssetCheckSpec(each.check, asset=key, partitions_def=partitions) for each in answers
    ]

    @dg.asset(key=key, check_specs=specs, partitions_def=partitions)
    def checked() -> Iterator[Any]:
        yield dg.MaterializeResult()
        for each in answers:
            if each.passed is None:
                raise ConnectionError("the backend does not answer")
            yield dg.AssetCheckResult(
                check_name=each.check,
                passed=each.passed,
                metadata=each.metadata,
            )

    return checked


@dataclass(frozen=True)
class Answer:
    """One evaluation of a check, with its metadata as plain values."""

    partition: str | None
    passed: bool
    metadata: Mapping[str, Any]


def answers(instance: dg.DagsterInstance, check: dg.AssetCheckKey) -> list[Answer]:
    """Every evaluation of a check so far, oldest first."""
    records = instance.event_log_storage.get_asset_check_execution_history(check, limit=100)
    return [
        Answer(
            record.partition,
            evaluation.passed,
            unfolded(evaluation.metadata),
        )
        for record in reversed(records)
        if record.event and (evaluation := record.event.asset_check_evaluation)
    ]


class Sensor:
    """A sensor of the real definitions, ticked by hand; it has nothing to remember."""

    def __init__(self, name: str, platform: Platform, instance: dg.DagsterInstance) -> None:
        self.instance = instance
        self._platform = platform
        self.skipped = ""
        self._definitions = build_definitions(
            settings=platform.settings, resources={"platform": platform}
        )
        self._sensor = self._definitions.get_repository_def().get_sensor_def(name)

    def beside(self, name: str) -> Sensor:
        """Another sensor of the same deployment."""
        other = copy(self)
        other._sensor = self._definitions.get_repository_def().get_sensor_def(name)
        return other

    def tick(self, *, at: datetime | None = None) -> list[dg.RunRequest]:
        """One tick, now or at a time. What it asks for is not started yet."""
        if at is not None:
            with freeze_time(at):
                return self.tick()
        with dg.build_sensor_context(
            instance=self.instance,
            definitions=self._definitions,
            resources={"platform": self._platform},
        ) as context:
            data = self._sensor.evaluate_tick(context)
        self.skipped = data.skip_message or ""
        return list(data.run_requests or [])

    def start(self, request: dg.RunRequest) -> dg.ExecuteInProcessResult:
        """Execute a request as the daemon does: under its key."""
        job = self._definitions.resolve_job_def(request.job_name or self._sensor.job_name)
        return job.execute_in_process(
            instance=self.instance,
            run_config=request.run_config,
            tags={**request.tags, RUN_KEY_TAG: str(request.run_key)},
            raise_on_error=False,
        )
