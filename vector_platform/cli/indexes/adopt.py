"""`vector-platform index adopt`, and whose the generations of `index status` are.

Belongs here: showing what adopting would change, and recording who decided it.
"""

from __future__ import annotations

from contextlib import ExitStack
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from vector_platform.cli.choices import chosen_backends
from vector_platform.cli.output import BackendOption, say

if TYPE_CHECKING:
    from vector_platform.indexes.ownership.adoption import Proposal
    from vector_platform.settings import BackendName
    from vector_platform.wiring import Platform


def adopt(
    backend: BackendOption = "both",
    by: Annotated[str, typer.Option(help="Who decides it; recorded. Without it, only say.")] = "",
    reason: Annotated[str, typer.Option(help="Why; recorded.")] = "",
    accept_differences: Annotated[
        int, typer.Option(help="Let so many rows differ from this lake.")
    ] = 0,
) -> None:
    """Compare an index that is not this lake's with it; with --by and --reason, take it over."""
    from vector_platform.indexes.ownership.adoption import Adopter
    from vector_platform.lake.decisions import Decisions
    from vector_platform.wiring import Platform

    if by and not reason:
        raise typer.BadParameter("--by needs --reason, which is recorded beside it")
    platform = Platform.load()
    for name in chosen_backends(platform.settings, backend):
        sync = platform.index_sync(name, run_id="cli")
        adopter = Adopter(
            platform.lake,
            platform.target(name),
            sync.states,
            spec=platform.index_spec(name),
            run_id="cli",
        )
        with ExitStack() as locks:
            for claim, _ in sync.ownership.looked_at():
                held = sync.locks.writing(claim.generation.name).held(wait_seconds=0)
                locks.enter_context(held)
            proposals = adopter.proposals(datetime.now(UTC))
            if not proposals:
                say(f"{name}: everything of {sync.states.index} is this lake's")
                continue
            _say_proposals(name, proposals)
            if not by:
                say("  To take it over: --by NAME --reason WHY")
                continue
            adopter.require_accepted(proposals, accept_differences)
            decisions = Decisions(platform.lake, run_id="cli")
            for proposal in proposals:
                theirs = proposal.claim.generation
                decisions.record(
                    "adopt",
                    f"{name}/{theirs.index}/{theirs.name}",
                    actor=by,
                    why=reason,
                    before=theirs.lake or "no lake",
                    after=f"{proposal.differences} rows differ",
                )
            for state in adopter.adopt(proposals, now=datetime.now(UTC)):
                say(f"{name} {state.generation}: this lake's; the next sync compares all of it")


def whose(platform: Platform, backend: BackendName) -> dict[str, str]:
    """Generation -> `this lake`, or why not, as the backend says; empty when it does not answer."""
    from vector_platform.errors import VectorPlatformError

    try:
        found = platform.index_sync(backend, run_id="cli").ownership.looked_at()
    except VectorPlatformError:  # the records are shown without
        return {}
    return {
        claim.generation.name: "this lake" if objection is None else objection.partition(". ")[0]
        for claim, objection in found
    }


def _say_proposals(backend: str, proposals: list[Proposal]) -> None:
    for proposal in proposals:
        theirs = proposal.claim.generation
        name = f"{backend} {theirs.model_version} {theirs.name}"
        say(f"{name} {proposal.objection.partition('. ')[0]}")
        say(f"  against {proposal.proof.snapshot} of this lake: {proposal.proof.describe()}")
        for kind, rows in proposal.proof.plan.samples().items():
            if rows:
                say(f"  {kind.replace('_', ' ')}: {', '.join(rows)}")
