"""The job `decide_golden_queries`: proposed golden queries are accepted or rejected.

Belongs here: a thin op around `quality/retrieval/golden_proposals.py`, the record of who decided,
and the golden queries that follow at once.
"""

# Dagster reads the types of parameters as they are, so no postponed annotations here.

import dagster as dg

from vector_platform.errors import TerminalError
from vector_platform.lake.decisions import Decisions
from vector_platform.orchestration import keys
from vector_platform.orchestration.quality.assets import gather_golden_queries
from vector_platform.orchestration.runs.jobs import AskedFor, one_op_job
from vector_platform.quality.retrieval.golden_proposals import BadProposal, GoldenProposals, State
from vector_platform.wiring import Platform


class NoGoldenSets(TerminalError):
    """Golden queries are accepted where none are evaluated."""


class GoldenConfig(AskedFor):
    """What is decided about proposed golden queries, and by whom.

    Attributes:
        accept: Ids of the proposals that are golden queries from now on.
        reject: Ids of those that are not.
    """

    accept: list[str] = []
    reject: list[str] = []


@one_op_job("decide", pool="lake_golden_queries")
def decide_golden_queries(
    context: dg.OpExecutionContext, config: GoldenConfig, platform: dg.ResourceParam[Platform]
) -> dict[str, int]:
    """Accept or reject proposed golden queries.

    Accepted ones are among the golden queries from then on; the evaluation of every model
    version follows.
    """
    if set(config.accept) & set(config.reject):
        raise BadProposal("a proposal is either accepted or rejected")
    if config.accept and not platform.settings.golden_queries:
        raise NoGoldenSets(
            "nothing is evaluated without golden_queries in platform.yaml: name a set "
            "there first, and accepted proposals are added to it"
        )
    decided = {
        "accepted": _decide(platform, config.accept, "accepted", config, context.run_id),
        "rejected": _decide(platform, config.reject, "rejected", config, context.run_id),
    }
    if platform.settings.golden_queries:
        facts = gather_golden_queries(platform, context.run_id)
        context.log_event(
            dg.AssetMaterialization(
                asset_key=keys.placed(keys.GOLDEN_QUERIES, platform.settings), metadata=facts
            )
        )
    return decided


def _decide(
    platform: Platform, proposal_ids: list[str], state: State, config: GoldenConfig, run_id: str
) -> int:
    """Decide, and append the decisions that are not there yet. Returns how many those are.

    Texts stay out of them: what is appended is never erased.
    """
    if not proposal_ids:
        return 0
    proposals = GoldenProposals(platform.lake, run_id=run_id)
    decided = proposals.decide(proposal_ids, state, actor=config.actor)
    decisions = Decisions(platform.lake, run_id=run_id)
    stands = {one.subject: one.after for one in decisions.about(*proposal_ids)}
    new = [one.proposal_id for one in decided if stands.get(one.proposal_id) != state]
    for proposal_id in new:
        decisions.record(
            "accept" if state == "accepted" else "reject",
            proposal_id,
            actor=config.actor,
            why=config.reason,
            before=stands.get(proposal_id, "proposed"),
            after=state,
        )
    return len(new)
