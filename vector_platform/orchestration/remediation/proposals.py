"""What runs that propose a new model version have in common: why they run, and their request.

Belongs here: the reasons in their configuration, and asking for the release.
"""

from typing import Any

import dagster as dg

from vector_platform.orchestration.runs.jobs import AskedFor
from vector_platform.remediation.decision import PlannedRun
from vector_platform.wiring import Platform


class ProposalConfig(AskedFor):
    """Who asks for a new model version, and why.

    Attributes:
        automatic: Whether a sensor or a schedule asks, and not a person.
        evaluations: Ids of the measurements that asked for it.
    """

    automatic: bool = False
    evaluations: list[str] = []


def reasons_of(run: PlannedRun, actor: str) -> dict[str, Any]:
    """The fields of `ProposalConfig` for a planned run."""
    return {
        "reason": run.why,
        "actor": actor,
        "automatic": True,
        "evaluations": list(run.evaluation_ids),
    }


def ask_for_release(
    platform: Platform, model_version: str, config: ProposalConfig, context: dg.OpExecutionContext
) -> dict[str, dict[str, Any]]:
    """Ask every backend for the release of a model version that this run has indexed.

    Returns:
        Backend -> where its request stands.
    """
    stands: dict[str, dict[str, Any]] = {}
    for backend in platform.settings.indexes.backends:
        service = platform.release_service(
            backend, run_id=context.run_id, progress=context.log.info
        )
        state = service.context.sync.states.newest(model_version)
        assert state is not None, "the version was indexed by this run"
        reconciled = service.release(
            state,
            actor=config.actor,
            reason=config.reason,
            automatic=config.automatic,
            evidence_ids=tuple(config.evaluations),
        )
        context.log.info(f"{backend}: {reconciled.describe()}")
        stands[backend] = reconciled.facts()
    return stands
