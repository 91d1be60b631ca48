"""`vector-platform release`: which generation readers see."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

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
    from vector_platform.indexes.contract import Mirrored
    from vector_platform.settings import BackendName
    from vector_platform.wiring import Platform

app = typer.Typer(no_args_is_help=True, help="See and move the live pointer.")


@app.command()
def status(as_json: JsonFlag = False) -> None:
    """What is live on every backend, how it became so, what waits, and what readers outside see."""
    from vector_platform.releases.requests.requests import ReleaseRequests
    from vector_platform.wiring import Platform

    platform = Platform.load()
    backends = platform.settings.indexes.backends
    releases = {name: platform.live_pointer(name).history() for name in backends}
    waiting = [one for one in ReleaseRequests(platform.lake).all() if one.open]
    mirrors = {name: _mirrored(platform, name) for name in backends}
    platform.close()
    if as_json:
        say_json(
            {
                "releases": {name: [vars(r) for r in made] for name, made in releases.items()},
                "requests": [one.facts() for one in waiting],
                "left_behind": {name: list(one.behind) for name, one in mirrors.items()},
                "tenants_without_alias": {name: one.without for name, one in mirrors.items()},
            }
        )
        return
    say_table(
        "Releases (the last of each backend is live)",
        ["backend", "#", "generation", "model", "released", "by", "reason"],
        [
            [
                backend,
                r.sequence,
                r.generation + (" (live)" if r is history[-1] else ""),
                r.model_version,
                r.released_at.strftime("%Y-%m-%d %H:%M:%S"),
                r.actor,
                r.reason,
            ]
            for backend, history in releases.items()
            for r in history
        ],
    )
    for part in waiting:
        say(f"{part.request_id} ({part.model_version} {part.generation}) waits: {part.waits_for}")
    for backend, mirrored in mirrors.items():
        for what in mirrored.behind:
            say(f"{backend}: readers outside do not follow the pointer: {what}")
        if mirrored.without:
            say(f"{backend}: {mirrored}")


def _mirrored(platform: Platform, backend: BackendName) -> Mirrored:
    """How far the aliases stand for the live generation; a backend that is away says so."""
    from vector_platform.errors import VectorPlatformError
    from vector_platform.indexes.contract import Mirrored

    pointer = platform.live_pointer(backend)
    if pointer.live() is None:
        return Mirrored(0)
    try:
        return platform.target(backend).mirrored(pointer.live_generation().identity)
    except VectorPlatformError as error:
        return Mirrored(0, behind=(f"nobody knows ({error})",))


@app.command()
@launches("promote")
def promote(
    reason: Reason,
    model: Annotated[
        str | None, typer.Argument(help="Model version; default: the best by its evaluations.")
    ] = None,
    backend: BackendOption = "all",
    override_freeze: OverrideFreeze = "",
    allow_shrink: AllowShrink = False,
    as_json: JsonFlag = False,
) -> None:
    """Ask for a model version to go live; exit 5 when it waits for somebody, 4 when a gate refuses.

    What the policy lets through is live afterwards. Where no approvers are named, a gate that
    cannot tell is yours to decide, and asking says yes. Over several backends it is one request;
    asking again completes what is missing.
    """
    from vector_platform.orchestration.releases.jobs import PromoteConfig

    runs = open_runs()
    settings = runs.platform.settings
    config = PromoteConfig(
        model_version=chosen_models(settings, model)[0] if model else "",
        backends=list(chosen_backends(settings, backend)),
        reason=reason,
        override_freeze=override_freeze,
        allow_shrink=allow_shrink,
    )
    outcomes = launch(runs, config).output
    if as_json:
        say_json(outcomes)
    else:
        for moved in outcomes.values():
            say(moved["summary"])
    end_by_releases(outcomes.values())


@app.command()
@launches("roll_back")
def rollback(
    reason: Reason,
    backend: BackendOption = "all",
    to: Annotated[
        str,
        typer.Option(help="Generation to make live; default: the one before the newest release."),
    ] = "",
    before: Annotated[
        str, typer.Option(help="Request, like r-3f9a02c1: the generation before what it released.")
    ] = "",
    allow_shrink: AllowShrink = False,
    as_json: JsonFlag = False,
) -> None:
    """Make an earlier generation live again, after bringing it to the newest snapshot.

    Over several backends it is one request. Repeating it completes what is missing, and never turns
    forward again. It waits for no build.
    """
    from vector_platform.orchestration.releases.jobs import RollbackConfig

    if to and before:
        raise BadChoice("--to and --before both name where to go: give one")
    runs = open_runs()
    config = RollbackConfig(
        reason=reason,
        backends=list(chosen_backends(runs.platform.settings, backend)),
        to=to,
        before=before,
        allow_shrink=allow_shrink,
    )
    outcomes = launch(runs, config).output
    if as_json:
        say_json(list(outcomes.values()))
        return
    for name, outcome in outcomes.items():
        say(f"{name}: {outcome['summary']}: {reason}")
