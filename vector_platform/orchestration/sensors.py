"""Sensors: event, then action. Thin shells over pure decisions.

Belongs here: the automation sensor and `reindex_on_drift`. Does not belong here: how history is
read (`check_results.py`) or what a job does (`jobs.py`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import dagster as dg

from vector_platform.orchestration import keys
from vector_platform.orchestration.check_results import CheckResult, results_since
from vector_platform.orchestration.jobs import RebuildConfig
from vector_platform.settings import Settings

# Dagster's own default; named because the tests of automation tick by it.
SENSOR_SECONDS = 30


def build_sensors(settings: Settings, rebuild_index: dg.JobDefinition) -> list[dg.SensorDefinition]:
    """All sensors, running by default: a platform that must be switched on does not follow."""
    automation = dg.AutomationConditionSensorDefinition(
        "follow_the_lake",
        target=dg.AssetSelection.all(),
        default_status=dg.DefaultSensorStatus.RUNNING,
        minimum_interval_seconds=SENSOR_SECONDS,
        description="Runs every asset whose automation condition holds.",
    )

    @dg.sensor(
        job=rebuild_index,
        default_status=dg.DefaultSensorStatus.RUNNING,
        minimum_interval_seconds=SENSOR_SECONDS,
        description="Builds a new generation of a model version when its embeddings have drifted.",
    )
    def reindex_on_drift(context: dg.SensorEvaluationContext) -> dg.SensorResult:
        key = dg.AssetCheckKey(keys.EMBEDDINGS, keys.NO_DRIFT)
        seen = int(context.cursor or 0)
        unseen = results_since(context.instance, key, after_id=seen)
        requests = [
            dg.RunRequest(
                run_key=run_key,
                run_config=dg.RunConfig({"rebuild": config}),
                tags={keys.EVALUATION_TAG: evaluation_id, keys.REASON_TAG: "drift"},
            )
            for run_key, evaluation_id, config in rebuilds(
                unseen.results, list(settings.active_models)
            )
        ]
        return dg.SensorResult(run_requests=requests, cursor=str(unseen.settled_id))

    return [automation, reindex_on_drift]


def rebuilds(
    results: Sequence[CheckResult], active_models: Sequence[str]
) -> Iterator[tuple[str, str, RebuildConfig]]:
    """Which rebuilds a series of drift verdicts asks for: one for each failed evaluation.

    Yields:
        (run_key, evaluation_id, config). The key carries the evaluation, so that the same verdict
        never acts twice while a later one can act again.
    """
    for result in results:
        model_version = result.partition
        if result.passed or model_version not in active_models:
            continue
        evaluation_id = str(result.metadata.get("evaluation_id") or result.record_id)
        yield (
            f"drift:{model_version}:{evaluation_id}",
            evaluation_id,
            RebuildConfig(
                model_version=str(model_version),
                reason=f"drift evaluation {evaluation_id} failed",
                actor="reindex_on_drift",
                automatic=True,
            ),
        )
