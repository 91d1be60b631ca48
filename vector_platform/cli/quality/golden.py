"""`vector-platform golden`: golden queries that the platform proposes, and a person decides."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import typer

from vector_platform.cli.launching import launch, launches, open_runs
from vector_platform.cli.output import JsonFlag, Reason, say, say_json, say_table

app = typer.Typer(no_args_is_help=True, help="Golden queries: their health, and proposed ones.")

Ids = Annotated[list[str], typer.Argument(help="From `golden proposals`.")]


@app.command()
def proposals(
    everything: Annotated[bool, typer.Option("--all", help="Also those decided already.")] = False,
    tenant: Annotated[str, typer.Option(help="Of this tenant's documents only.")] = "",
    as_json: JsonFlag = False,
) -> None:
    """Queries made from new content, which count nowhere until they are accepted.

    Those of documents in quarantine are left out.
    """
    from vector_platform.quality.retrieval.golden_proposals import GoldenProposals
    from vector_platform.wiring import Platform

    found = [
        one.facts()
        for one in GoldenProposals(Platform.load().lake, run_id="cli").all()
        if (everything or one.state == "proposed") and tenant in ("", one.tenant)
    ]
    if as_json:
        say_json(found)
        return
    columns = ["proposal_id", "state", "tenant", "text", "doc_id", "novelty", "provenance"]
    rows = [[one[name] for name in columns] for one in found]
    say_table("Proposed golden queries", [name.replace("_", " ") for name in columns], rows)


@app.command()
def health(as_json: JsonFlag = False) -> None:
    """Queries that say less than they seem to, and what would mend each.

    dead: its documents are gone. other tenant: none of its documents belongs to its tenant.
    duplicate, ambiguous: asks the same as another, for the same documents or for others.
    never hit: no evaluated model has found a document of it. Dead and repeated queries do not
    count in the gates of a release.
    """
    from vector_platform.lake.evaluations import newest_evaluations
    from vector_platform.quality.retrieval.golden_questions import GoldenQuestions
    from vector_platform.wiring import Platform

    lake = Platform.load().lake
    evaluations = newest_evaluations(lake, "R@10").values()
    hit = {query for one in evaluations for query, score in one.scores.items() if score > 0}
    questions = GoldenQuestions(lake)
    found = [one.facts() for one in questions.ill(hit if evaluations else None)]
    if as_json:
        say_json({"queries": len(questions.texts), "ill": found})
        return
    columns = ["query_id", "ill", "tenant", "text", "about", "mend"]
    rows = [[one[name] for name in columns] for one in found]
    say_table(
        f"{len(found)} of {len(questions.texts)} golden queries say less than they seem to",
        [name.replace("_", " ") for name in columns],
        rows,
    )


@app.command()
@launches("decide_golden_queries")
def accept(proposal_ids: Ids, reason: Reason, as_json: JsonFlag = False) -> None:
    """Make proposals golden queries. What asks with golden queries asks with them from then on."""
    _decide(as_json, reason, accept=proposal_ids)


@app.command()
@launches("decide_golden_queries")
def reject(proposal_ids: Ids, reason: Reason, as_json: JsonFlag = False) -> None:
    """Refuse proposals, or take back accepted ones. Their documents are not proposed again."""
    _decide(as_json, reason, reject=proposal_ids)


def _decide(
    as_json: bool, reason: str, *, accept: Sequence[str] = (), reject: Sequence[str] = ()
) -> None:
    from vector_platform.orchestration.quality.golden_jobs import GoldenConfig

    config = GoldenConfig(accept=list(accept), reject=list(reject), reason=reason)
    done = launch(open_runs(), config).output
    if as_json:
        say_json(done)
        return
    say(
        f"{done['accepted']} accepted, {done['rejected']} rejected. Evaluations follow with the "
        "next `vector-platform run`, or by themselves where the daemon is."
    )
