"""Jobs that answer failed checks: what sensors start, and people may start by hand.

Belongs here: thin ops around plain functions, and the configuration of each job for a run that a
sensor has planned.

A failed run is started again by its sensor, under a new attempt and a bounded number of times. So
these jobs have no retries of runs of their own.
"""

# Dagster reads the types of parameters as they are, so no postponed annotations here.
from typing import Any

import dagster as dg

from vector_platform.orchestration import keys
from vector_platform.orchestration.indexes.jobs import RepairConfig, chosen_backends, repair_op
from vector_platform.orchestration.remediation.proposals import ProposalConfig, reasons_of
from vector_platform.orchestration.runs.jobs import Backends, JobConfig, ModelVersion, one_op_job
from vector_platform.releases.evaluation.changed_answers import names_of
from vector_platform.releases.gates.report import as_markdown
from vector_platform.remediation.decision import PlannedRun
from vector_platform.settings import BackendName
from vector_platform.wiring import Platform


class IndexTarget(JobConfig):
    """An index of a model version.

    Attributes:
        model_version: Whose index.
        backends: Which backends; all configured ones when empty.
    """

    model_version: ModelVersion
    backends: Backends = []


class ReindexConfig(ProposalConfig):
    """What to build anew, and why.

    Attributes:
        targets: Which indexes; what readers see now, on every backend, when empty.
        allow_shrink: Let a release through that takes many rows away from readers.
    """

    targets: list[IndexTarget] = []
    allow_shrink: bool = False


def reindex_config(run: PlannedRun, actor: str) -> dg.RunConfig:
    """The configuration of `reindex` for a planned run."""
    targets = [
        IndexTarget(model_version=scope.model_version, backends=[scope.backend])
        for scope in run.scopes
    ]
    return dg.RunConfig({"rebuild": ReindexConfig(targets=targets, **reasons_of(run, actor))})


def repair_config(run: PlannedRun, actor: str) -> dg.RunConfig:
    """The configuration of `repair_<backend>` for a planned run.

    An index that is faithful is only read by a repair, so a storm may name all models at once.
    """
    models = {scope.model_version for scope in run.scopes}
    only = models.pop() if len(models) == 1 else ""
    (backend,) = {scope.backend for scope in run.scopes}
    return dg.RunConfig({repair_op(backend): RepairConfig(model_version=only)})


def _live(platform: Platform) -> list[tuple[str, BackendName]]:
    """The model version that readers see, and its backend, of every backend that has one."""
    names = platform.settings.indexes.backends
    live = [(platform.live_pointer(name).live(), name) for name in names]
    found = [(one.model_version, name) for one, name in live if one is not None]
    if not found:
        raise dg.Failure("nothing is live yet: name the indexes in `targets`")
    return found


@one_op_job("rebuild", pool="reindex")
def reindex(
    context: dg.OpExecutionContext, config: ReindexConfig, platform: dg.ResourceParam[Platform]
) -> dict[str, Any]:
    """Build a new generation of a model version beside the live one.

    It is proven equal to the lake. Where that model is live, its release is asked for.
    """
    targets = [
        (target.model_version, backend)
        for target in config.targets
        for backend in chosen_backends(platform.settings, target.backends)
    ] or _live(platform)
    built: dict[str, Any] = {}
    for model_version, backend in targets:
        service = platform.release_service(
            backend, run_id=context.run_id, progress=context.log.info
        )
        report = service.context.sync.build(model_version)
        gates: dict[str, Any] = {}
        release: dict[str, Any] | None = None
        live = service.context.pointer.live()
        if live and live.model_version == model_version:
            reconciled = service.release(
                report.generation,
                actor=config.actor,
                reason=config.reason,
                automatic=config.automatic,
                overrides={"shrink": config.reason} if config.allow_shrink else {},
                evidence_ids=tuple(config.evaluations),
            )
            context.log.info(f"{backend}: {reconciled.describe()}")
            release = reconciled.facts()
            gates = {"release": reconciled.describe()}
            if reconciled.report is not None:
                names = names_of(platform.lake, reconciled.report.evidence.changed)
                gates["gates"] = dg.MetadataValue.md(as_markdown(reconciled.report, names))
        context.log_event(
            dg.AssetMaterialization(
                asset_key=keys.index(backend, platform.settings),
                partition=model_version,
                metadata={**report.facts(), **gates},
            )
        )
        built[f"{backend}/{model_version}"] = {
            "generation": report.generation.generation,
            "release": release,
        }
    return built
