"""The job that takes over an index of another lake, or of another history of this one.

Belongs here: a thin op around `indexes/ownership/adoption.py`, and the record of who decided.
"""

# Dagster reads the types of parameters as they are, so no postponed annotations here.
from contextlib import ExitStack
from typing import Any

import dagster as dg

from vector_platform.indexes.ownership.adoption import Adopter
from vector_platform.lake.decisions import Decisions, utc_now
from vector_platform.orchestration.indexes.jobs import chosen_backends
from vector_platform.orchestration.runs.jobs import Backends, JobConfig, actor_of, one_op_job
from vector_platform.settings import BackendName
from vector_platform.wiring import Platform


class AdoptConfig(JobConfig):
    """What is taken over, and who says so.

    Attributes:
        backends: Which backends; all configured ones when empty.
        reason: Why it is taken over; it is kept for good. Empty to compare only.
        actor: Who answers for it; leave it empty, and it is who launches the run.
        accept_differences: Let so many rows differ from this lake.
    """

    backends: Backends = []
    reason: str = ""
    actor: str = ""
    accept_differences: int = 0


@one_op_job("adopt")
def adopt_index(
    context: dg.OpExecutionContext, config: AdoptConfig, platform: dg.ResourceParam[Platform]
) -> dict[str, Any]:
    """Compare an index that is not this lake's with it; when somebody decides it, take it over.

    No row is written. The next sync compares all of it.
    """
    done = {}
    for backend in chosen_backends(platform.settings, config.backends):
        done[backend] = _adopt(platform, backend, config, context.run)
        for line in done[backend]["differs"]:
            context.log.info(line)
    return done


def _adopt(
    platform: Platform, backend: BackendName, config: AdoptConfig, run: dg.DagsterRun
) -> dict[str, Any]:
    """What is not this lake's on one backend, and the generations that are its own from now on."""
    run_id = run.run_id
    sync = platform.index_sync(backend, run_id=run_id)
    adopter = Adopter(
        platform.lake,
        platform.target(backend),
        sync.states,
        spec=platform.index_spec(backend),
        run_id=run_id,
    )
    with ExitStack() as locks:
        for claim, _ in sync.ownership.looked_at():
            locks.enter_context(sync.locks.writing(claim.generation.name).held(wait_seconds=0))
        proposals = adopter.proposals(utc_now())
        told = {"index": sync.states.index, "differs": [one.describe() for one in proposals]}
        if not config.reason.strip() or not proposals:
            return told | {"adopted": []}
        adopter.require_accepted(proposals, config.accept_differences)
        decisions = Decisions(platform.lake, run_id=run_id)
        for proposal in proposals:
            theirs = proposal.claim.generation
            decisions.record(
                "adopt",
                f"{backend}/{theirs.index}/{theirs.name}",
                actor=actor_of(run, config.actor, platform.settings),
                why=config.reason,
                before=theirs.lake or "no lake",
                after=f"{proposal.differences} rows differ",
            )
        adopted = adopter.adopt(proposals, now=utc_now())
    return told | {"adopted": [state.generation for state in adopted]}
