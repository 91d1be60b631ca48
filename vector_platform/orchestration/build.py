"""`build_definitions`: everything Dagster sees, assembled afresh for the UI, the CLI and tests.

Belongs here: assembly only. What an asset, check, sensor or job is stands in its own file.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from pathlib import Path

import dagster as dg

from vector_platform.orchestration import keys
from vector_platform.orchestration.corpus.checks import build_contract_checks
from vector_platform.orchestration.corpus.chunks import build_chunks_asset
from vector_platform.orchestration.corpus.marts import build_staging_assets
from vector_platform.orchestration.corpus.quarantine_jobs import replay_slice
from vector_platform.orchestration.indexes.adoption_jobs import adopt_index
from vector_platform.orchestration.indexes.assets import build_index_assets
from vector_platform.orchestration.indexes.checks import build_parity_checks
from vector_platform.orchestration.indexes.jobs import (
    build_ingest_job,
    build_repair_jobs,
    verify_index,
)
from vector_platform.orchestration.ingest.assets import build_raw_assets
from vector_platform.orchestration.ingest.sensors import build_arrival_sensors
from vector_platform.orchestration.lake.jobs import optimize_lake, vacuum_lake
from vector_platform.orchestration.models.assets import build_embeddings_asset
from vector_platform.orchestration.models.checks import build_model_checks
from vector_platform.orchestration.models.jobs import align_model, replace_alignment, retire_model
from vector_platform.orchestration.models.sensors import build_model_sensors
from vector_platform.orchestration.quality.assets import build_quality_assets
from vector_platform.orchestration.quality.drift_checks import build_drift_checks
from vector_platform.orchestration.quality.golden_jobs import decide_golden_queries
from vector_platform.orchestration.quality.recall_checks import build_recall_checks
from vector_platform.orchestration.quality.retrieval_checks import build_retrieval_checks
from vector_platform.orchestration.releases.jobs import (
    RELEASE_JOBS,
    monitor_releases,
    reconcile_releases,
)
from vector_platform.orchestration.releases.migration_jobs import migrate_index
from vector_platform.orchestration.releases.sensors import build_release_sensors
from vector_platform.orchestration.remediation.sensors import ANSWERS, build_sensors
from vector_platform.orchestration.runs.jobs import offered
from vector_platform.orchestration.runs.launcher import holding_executor
from vector_platform.orchestration.runs.logs import PROGRESS, progress_logger
from vector_platform.orchestration.runs.sensors import build_run_sensors
from vector_platform.orchestration.schedules import build_schedules
from vector_platform.settings import Settings
from vector_platform.wiring import Platform, load_settings


def build_definitions(
    config: Path | None = None,
    *,
    settings: Settings | None = None,
    resources: Mapping[str, object] | None = None,
    own_executor: bool = True,
) -> dg.Definitions:
    """A fresh `Definitions` of a deployment.

    Args:
        config: Its `platform.yaml`. Default: see `wiring.load_settings`.
        settings: The deployment, where it has been read already.
        resources: Replacements by name; `platform` is the only one the project uses.
        own_executor: Run the steps of a run in one process: a model or a connection is opened once,
            not for each, and a run looks at what it needs before it begins. False leaves executor
            and loggers to the project that these are merged into.

    With `key_prefix`, every name begins with it, and definitions of several deployments and of
    others merge (`dg.Definitions.merge`).
    """
    # Partitioned checks are a preview feature that the tests hold to what is needed of it.
    warnings.filterwarnings("ignore", category=dg.PreviewWarning)
    warnings.filterwarnings("ignore", category=dg.BetaWarning)
    settings = settings or load_settings(config)
    given = dict(resources or {})
    replaced = given.pop("platform", None)
    platform = replaced if isinstance(replaced, Platform) else Platform(settings)
    own = {
        job.name: job
        for job in (
            *build_repair_jobs(settings),
            verify_index,
            adopt_index,
            migrate_index,
            optimize_lake,
            vacuum_lake,
            *(job for answer in ANSWERS for job in answer.jobs),
            *RELEASE_JOBS,
            reconcile_releases,
            monitor_releases,
            replay_slice,
            decide_golden_queries,
            align_model,
            replace_alignment,
            retire_model,
        )
    }
    # Two deployments in one code location have two platforms.
    needed = {} if settings.key_prefix is None else {"platform": platform}
    jobs = {name: offered(job, settings, needed) for name, job in own.items()}
    ingest_day = build_ingest_job(settings)
    assets = [
        *build_raw_assets(settings),
        *build_staging_assets(settings),
        build_chunks_asset(settings),
        build_embeddings_asset(settings),
        *build_quality_assets(settings),
        *build_index_assets(settings),
    ]
    return dg.Definitions(
        assets=assets,
        asset_checks=[
            *build_contract_checks(settings),
            *build_model_checks(settings),
            *build_drift_checks(settings),
            *build_parity_checks(settings),
            *build_recall_checks(settings),
            *build_retrieval_checks(settings),
        ],
        jobs=[*([ingest_day] if ingest_day else []), *jobs.values()],
        schedules=build_schedules(settings, ingest_day) if ingest_day else [],
        sensors=[
            *build_sensors(settings, jobs, dg.AssetSelection.assets(*assets)),
            *build_run_sensors(settings),
            *(build_arrival_sensors(settings, ingest_day) if ingest_day else []),
            *build_release_sensors(
                settings, jobs[reconcile_releases.name], jobs[monitor_releases.name]
            ),
            *build_model_sensors(settings, jobs[replace_alignment.name]),
        ],
        loggers={"console": dg.colored_console_logger, PROGRESS: progress_logger}
        if own_executor
        else None,
        resources={**given, keys.named("platform", settings): platform},
        executor=holding_executor(platform) if own_executor else None,
    )
