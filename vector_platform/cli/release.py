"""`vector-platform release`: which generation readers see."""

from __future__ import annotations

import getpass
from typing import Annotated

import typer

from vector_platform.cli.choices import chosen_backends, chosen_models
from vector_platform.cli.output import (
    AllowShrink,
    BackendOption,
    JsonFlag,
    OverrideFreeze,
    say,
    say_json,
    say_table,
)

app = typer.Typer(no_args_is_help=True, help="See and move the live pointer.")

Reason = Annotated[str, typer.Option(help="Recorded with the release.")]


@app.command()
def status(as_json: JsonFlag = False) -> None:
    """What is live on every backend, and how it became so."""
    from vector_platform.wiring import Platform

    platform = Platform.load()
    releases = {
        backend: platform.live_pointer(backend).history()
        for backend in platform.settings.indexes.backends
    }
    if as_json:
        say_json({backend: [vars(r) for r in history] for backend, history in releases.items()})
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


@app.command()
def promote(
    model: Annotated[
        str | None, typer.Argument(help="Model version; default: the best by its evaluations.")
    ] = None,
    backend: BackendOption = "both",
    reason: Reason = "asked for by hand",
    override_freeze: OverrideFreeze = "",
    allow_shrink: AllowShrink = False,
) -> None:
    """Ask for a model version to go live, as a Dagster run; exit 2 when it may not yet.

    What the policy lets through is live afterwards. Where no approvers are named, a gate that
    cannot tell is yours to decide, and asking says yes.
    """
    import dagster as dg

    from vector_platform.orchestration.release_jobs import PromoteConfig
    from vector_platform.orchestration.runs import Runs
    from vector_platform.wiring import Platform

    runs = Runs(Platform.load())
    settings = runs.platform.settings
    config = PromoteConfig(
        model_version=chosen_models(settings, model)[0] if model else "",
        backends=list(chosen_backends(settings, backend)),
        reason=reason,
        actor=getpass.getuser(),
        override_freeze=override_freeze,
        allow_shrink=allow_shrink,
    )
    outcome = runs.job("promote", dg.RunConfig({"promote_op": config}))
    for moved in outcome.outputs["promote_op"].values():
        say(moved["summary"])
    if any(moved["waits"] for moved in outcome.outputs["promote_op"].values()):
        raise typer.Exit(2)


@app.command()
def rollback(
    backend: BackendOption = "both",
    reason: Reason = "asked for by hand",
    allow_shrink: AllowShrink = False,
) -> None:
    """Make the previous generation live again, after bringing it to the newest snapshot."""
    from vector_platform.wiring import Platform

    platform = Platform.load()
    for name in chosen_backends(platform.settings, backend):
        desk = platform.release_desk(name, run_id="cli")
        release = desk.roll_back(actor=getpass.getuser(), reason=reason, allow_shrink=allow_shrink)
        say(f"{release.model_version} {release.generation} is now live, rolled back: {reason}")
