"""Jobs: verbs that people, schedules and sensors launch.

Belongs here: thin ops around plain functions. `ingest_day` materialises assets; a repair acts on
an index, which is not what an asset's materialisation means.
"""

# Dagster reads the types of parameters as they are, so no postponed annotations here.
from functools import cache
from typing import Any

import dagster as dg

from vector_platform.indexes.proof.verification import Verification
from vector_platform.indexes.sync.lag import lag_behind
from vector_platform.orchestration import keys
from vector_platform.orchestration.dagster_internals import UnresolvedAssetJobDefinition
from vector_platform.orchestration.indexes.checks import proof_metadata
from vector_platform.orchestration.runs.jobs import Backends, JobConfig, ModelVersion, one_op_job
from vector_platform.orchestration.showing import arranged
from vector_platform.remediation.checks import PARITY
from vector_platform.settings import BackendName, Settings
from vector_platform.wiring import Platform


class IndexesConfig(JobConfig):
    """Which indexes.

    Attributes:
        model_version: Whose indexes; every active model version when empty.
    """

    model_version: ModelVersion = ""


class RepairConfig(IndexesConfig):
    """What to repair.

    Attributes:
        allow_delete: Deletes let through the guard this once, in each index.
    """

    allow_delete: int = 0


class VerifyConfig(IndexesConfig):
    """What to verify.

    Attributes:
        backends: Which backends; all configured ones when empty.
        every_row: Read all rows whole now, and not only those whose turn it is.
    """

    backends: Backends = []
    every_row: bool = False


def build_ingest_job(settings: Settings) -> UnresolvedAssetJobDefinition | None:
    """`ingest_day`: every source's rows of one day. None where all rows are handed over."""
    if not settings.read_sources:
        return None
    return dg.define_asset_job(
        keys.named("ingest_day", settings),
        selection=dg.AssetSelection.assets(
            *(keys.placed(keys.raw(name), settings) for name in settings.read_sources)
        ),
        description="Land one day of every source. What depends on it follows by itself.",
    )


@one_op_job("verify")
def verify_index(
    context: dg.OpExecutionContext, config: VerifyConfig, platform: dg.ResourceParam[Platform]
) -> list[dict[str, Any]]:
    """Read indexes back, and compare every id and digest with the lake, and some rows whole.

    One that differs is not proven any more: searches say so until it is repaired.
    """
    settings, facts = platform.settings, []
    for backend in chosen_backends(settings, config.backends):
        sync = platform.index_sync(backend, run_id=context.run_id)
        for model_version in _chosen_models(settings, config):
            proofs = []
            for state in platform.live_pointer(backend).following(model_version):
                proof = sync.verify(state, every_row=config.every_row)
                lag = lag_behind(platform.lake, model_version, proof.snapshot)
                verdict = "equal to" if proof.clean else "DIFFERS from"
                proofs.append(proof)
                facts.append(
                    {
                        "backend": backend,
                        "generation": state.generation,
                        "model_version": model_version,
                        "clean": proof.clean,
                        **proof.facts(),
                        **lag.facts(),
                        "summary": f"{backend} {model_version} {state.generation}: {verdict} "
                        f"{proof.snapshot} ({proof.describe()}); {lag.describe()}",
                    }
                )
            if proofs:
                shown = min(proofs, key=lambda one: one.clean)
                _log_parity(context, settings, backend, model_version, shown)
    for one in facts:
        context.log.info(one["summary"])
    return facts


def build_repair_jobs(settings: Settings) -> list[dg.JobDefinition]:
    """`repair_<backend>`: a job for each backend, in the pool of that backend alone.

    A run holds the pools of all its steps from its start to its end.
    """
    return [_repair_job(backend) for backend in settings.indexes.backends]


def repair_op(backend: BackendName) -> str:
    """The op of a backend's repair; its name is its own, as Dagster wants it."""
    return f"repair_{backend}_op"


# One a backend, however many deployments are in a code location: Dagster takes two ops of a name
# there only when they are the same.
@cache
def _repair_job(backend: BackendName) -> dg.JobDefinition:
    @one_op_job(repair_op(backend), job=f"repair_{backend}", pool=keys.index_pool(backend))
    def repair(
        context: dg.OpExecutionContext, config: RepairConfig, platform: dg.ResourceParam[Platform]
    ) -> dict[str, Any]:
        """Read indexes back, rewrite exactly what differs from the lake, and prove them equal."""
        done: dict[str, Any] = {}
        platform.follow_local_versions()
        sync = platform.index_sync(backend, run_id=context.run_id, progress=context.log.info)
        for model_version in _chosen_models(platform.settings, config):
            reports = [
                sync.repair(state, allow_delete=config.allow_delete)
                for state in platform.live_pointer(backend).following(model_version)
            ]
            if not reports:
                continue
            proof = reports[-1].verification
            assert proof is not None, "a repair compares in full and always proves"
            context.log_event(
                dg.AssetMaterialization(
                    asset_key=keys.index(backend, platform.settings),
                    partition=model_version,
                    metadata=reports[-1].facts(),
                )
            )
            _log_parity(context, platform.settings, backend, model_version, proof)
            done[model_version] = [report.facts() for report in reports]
        return done

    return repair


def _log_parity(
    context: dg.OpExecutionContext,
    settings: Settings,
    backend: BackendName,
    model_version: str,
    proof: Verification,
) -> None:
    """What a proof outside the check says of the index: the check shows it, too."""
    answer = arranged(
        PARITY, dg.AssetCheckResult(passed=proof.clean, metadata=proof_metadata(proof))
    )
    # Dagster takes it at any time; its annotation names only the other events.
    context.log_event(
        dg.AssetCheckEvaluation(  # type: ignore[arg-type]
            asset_key=keys.index(backend, settings),
            check_name=PARITY,
            passed=answer.passed,
            partition=model_version,
            metadata=answer.metadata,
        )
    )


def _chosen_models(settings: Settings, config: IndexesConfig) -> list[str]:
    return [config.model_version] if config.model_version else list(settings.active_models)


def chosen_backends(settings: Settings, asked: list[str]) -> list[Any]:
    """The backends that a configuration names; all configured ones when it names none."""
    unknown = [name for name in asked if name not in settings.indexes.backends]
    if unknown:
        raise dg.Failure(f"backends not in platform.yaml: {', '.join(unknown)}")
    return asked or list(settings.indexes.backends)
