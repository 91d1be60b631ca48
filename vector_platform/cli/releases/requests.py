"""`vector-platform release requests|show|request|approve|reject`, and `decisions`.

Belongs here: the verbs of the release service, and the record of what was decided.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING, Annotated, Any

import typer

from vector_platform.cli.choices import BadChoice, chosen_backends, chosen_models
from vector_platform.cli.exits import end_by_releases
from vector_platform.cli.launching import launch, launches, open_runs
from vector_platform.cli.output import (
    AllowShrink,
    BackendOption,
    JsonFlag,
    OverrideFreeze,
    Reason,
    say,
    say_json,
    say_table,
)

if TYPE_CHECKING:
    from vector_platform.orchestration.releases.jobs import RejectConfig
    from vector_platform.releases.requests.requests import ReleaseRequest
    from vector_platform.wiring import Platform

RequestId = Annotated[
    str,
    typer.Argument(help="Id of a request, from `release requests`, or of one part: r-ID/BACKEND."),
]


def register(root: typer.Typer, release: typer.Typer) -> None:
    """Add the verbs to the root and to the group `release`."""
    for verb in (requests, show, request, approve, reject):
        release.command()(verb)
    root.command()(decisions)


def requests(
    everything: Annotated[bool, typer.Option("--all", help="Also those that have ended.")] = False,
    as_json: JsonFlag = False,
) -> None:
    """Release requests, and what they wait for."""
    from vector_platform.releases.requests.requests import ReleaseRequests
    from vector_platform.wiring import Platform

    found = [one for one in ReleaseRequests(Platform.load().lake).all() if everything or one.open]
    if as_json:
        say_json([one.facts() for one in found])
        return
    say_table(
        "Release requests",
        ["id", "backend", "generation", "model", "by", "reason", "state", "waits for"],
        [
            [
                one.request_id,
                one.backend,
                one.generation,
                one.model_version,
                one.requester,
                one.reason,
                one.state,
                one.waits_for,
            ]
            for one in found
        ],
    )


def show(
    request_id: RequestId,
    as_json: JsonFlag = False,
    as_html: Annotated[bool, typer.Option("--html", help="Print one page of HTML.")] = False,
) -> None:
    """One request, part by part: the reports of its gates, and everything that was decided.

    For another model also ten answers that change most, side by side: read them before you approve.
    """
    from vector_platform.releases.requests.requests import ReleaseRequests
    from vector_platform.wiring import Platform

    platform = Platform.load()
    parts = ReleaseRequests(platform.lake).parts(request_id)
    if as_html and len(parts) > 1:
        named = ", ".join(part.request_id for part in parts)
        raise BadChoice(f"--html prints one page: name a part ({named})")
    if as_json:
        told = [_part_facts(platform, part) for part in parts]
        say_json(told[0] if "/" in request_id else {"request_id": request_id, "parts": told})
        return
    for part in parts:
        _show_part(platform, part, as_html=as_html)


def _part_facts(platform: Platform, part: ReleaseRequest) -> dict[str, Any]:
    from vector_platform.lake.decisions import Decisions
    from vector_platform.releases.gates.report import report_facts
    from vector_platform.releases.requests.gate_records import kept_report

    report = kept_report(platform.lake, part, platform.settings.releases)
    decided = Decisions(platform.lake, run_id="cli").about(part.request_id)
    return {
        "request": part.facts(),
        "gates": report_facts(report) if report else None,
        "decisions": [decision.facts() for decision in decided],
    }


def _show_part(platform: Platform, part: ReleaseRequest, *, as_html: bool) -> None:
    from vector_platform.lake.decisions import Decisions
    from vector_platform.releases.evaluation.changed_answers import names_of
    from vector_platform.releases.gates.report import as_html as to_html
    from vector_platform.releases.gates.report import as_markdown
    from vector_platform.releases.requests.gate_records import kept_report

    report = kept_report(platform.lake, part, platform.settings.releases)
    names = names_of(platform.lake, report.evidence.changed) if report else {}
    if as_html:
        if report is None:
            raise BadChoice(f"{part.request_id} has not been measured, so there is no report")
        typer.echo(to_html(report, names), nl=False)
        return
    what = f"back from {part.leaves} to {part.generation}, " if part.leaves else ""
    waits = f", waits: {part.waits_for}" if part.waits_for else ""
    say(f"{part.request_id}: {what}{part.state}{waits}")
    if report is not None:
        typer.echo(as_markdown(report, names))
    for decision in Decisions(platform.lake, run_id="cli").about(part.request_id):
        when = decision.decided_at.strftime("%Y-%m-%d %H:%M:%S")
        say(f"{when} {decision.actor}: {decision.what}, {decision.why}")


@launches("promote")
def request(
    model: Annotated[str, typer.Argument(help="Model version whose newest generation to release.")],
    reason: Reason,
    backend: BackendOption = "all",
    override_freeze: OverrideFreeze = "",
    allow_shrink: AllowShrink = False,
    as_json: JsonFlag = False,
) -> None:
    """Ask for a release; what the policy lets through is live afterwards.

    Exit 5 when it waits for somebody, 4 when a gate refuses it.
    """
    from vector_platform.orchestration.releases.jobs import PromoteConfig

    runs = open_runs()
    settings = runs.platform.settings
    config = PromoteConfig(
        model_version=chosen_models(settings, model)[0],
        backends=list(chosen_backends(settings, backend)),
        reason=reason,
        accept_undecided=False,
        override_freeze=override_freeze,
        allow_shrink=allow_shrink,
    )
    outcomes = launch(runs, config).output
    if as_json:
        say_json(outcomes)
    else:
        for name, outcome in outcomes.items():
            say(f"{name}: {outcome['summary']}")
    end_by_releases(outcomes.values())


@launches("approve_release")
def approve(
    request_id: RequestId,
    reason: Reason,
    override_freeze: OverrideFreeze = "",
    allow_shrink: AllowShrink = False,
    as_json: JsonFlag = False,
) -> None:
    """Approve a request; it is released when nothing else is in its way.

    Exit 5 while it waits for somebody else, 4 while a gate refuses it.
    """
    from vector_platform.orchestration.releases.jobs import ApproveConfig

    config = ApproveConfig(
        request_id=request_id,
        reason=reason,
        override_freeze=override_freeze,
        allow_shrink=allow_shrink,
    )
    end_by_releases(_decide(config, as_json))


@launches("reject_release")
def reject(request_id: RequestId, reason: Reason, as_json: JsonFlag = False) -> None:
    """Reject a request, or withdraw your own."""
    from vector_platform.orchestration.releases.jobs import RejectConfig

    _decide(RejectConfig(request_id=request_id, reason=reason), as_json)


def _decide(config: RejectConfig, as_json: bool) -> Collection[dict[str, Any]]:
    """Launch the verb's job; says and returns what became of the parts."""
    parts: dict[str, dict[str, Any]] = launch(open_runs(), config).output
    if as_json:
        say_json(parts)
    else:
        for told in parts.values():
            say(told["summary"])
    return parts.values()


def decisions(
    about: Annotated[
        str | None,
        typer.Option(
            help="Only of a subject with this in its name: r-3f9a02c1, words.v1, a backend."
        ),
    ] = None,
    what: Annotated[
        str | None, typer.Option(help="Only of this kind: act, approve, rollback, ...")
    ] = None,
    by: Annotated[str | None, typer.Option(help="Only by this person, sensor or job.")] = None,
    limit: Annotated[int, typer.Option("-n", help="How many of the newest; 0 for all.")] = 50,
    as_json: JsonFlag = False,
) -> None:
    """Who decided what, when, on what evidence, and why. Nothing in this table ever changes."""
    from vector_platform.lake.decisions import WHATS, Decisions
    from vector_platform.wiring import Platform

    if what is not None and what not in WHATS:
        raise BadChoice(f"--what {what!r} is not one of {', '.join(WHATS)}")
    known = Decisions(Platform.load().lake, run_id="cli").about(what=what, actor=by)
    found = [one for one in known if about is None or about in one.subject][-limit:]
    if as_json:
        say_json([decision.facts() for decision in found])
        return
    say_table(
        "Decisions",
        ["when", "who", "what", "about", "before", "after", "evidence", "why"],
        [
            [
                decision.decided_at.strftime("%Y-%m-%d %H:%M:%S"),
                decision.actor,
                decision.what,
                decision.subject,
                decision.before or "",
                decision.after or "",
                " ".join(one[:8] for one in decision.evidence),
                decision.why,
            ]
            for decision in found
        ],
    )
