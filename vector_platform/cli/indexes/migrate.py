"""`vector-platform migrate`: the same vectors on another backend, compared before a release."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from vector_platform.cli.choices import BadChoice, chosen_backends
from vector_platform.cli.exits import end_by_releases
from vector_platform.cli.launching import launch, launches, open_runs
from vector_platform.cli.output import (
    JsonFlag,
    OverrideFreeze,
    say,
    say_json,
    say_table,
)


def register(app: typer.Typer) -> None:
    """Add the verb to the root."""
    app.command()(migrate)


@launches("migrate_index")
def migrate(
    source: Annotated[str, typer.Option("--from", help="Backend that serves now.")],
    to: Annotated[str, typer.Option("--to", help="Backend to build on.")],
    k: Annotated[int, typer.Option("-k", help="Hits to compare.")] = 10,
    release: Annotated[
        bool, typer.Option("--release", help="Ask for the new backend's release afterwards.")
    ] = False,
    reason: Annotated[str, typer.Option(help="Why it is released; kept for good.")] = "",
    override_freeze: OverrideFreeze = "",
    as_json: JsonFlag = False,
) -> None:
    """Build the live model's index on another backend, from the lake alone, and compare both.

    Golden queries go to both sides, or stored vectors where there are none; overlap, rank
    correlation and latency are reported. Without --release no pointer moves; with
    it, exit 5 when the release waits for somebody, 4 when a gate refuses it.
    """
    from vector_platform.orchestration.releases.migration_jobs import MigrateConfig

    if source == to:
        raise BadChoice("--from and --to name the same backend")
    if release and not reason.strip():
        raise BadChoice("--release needs --reason, which is kept with the decision")
    runs = open_runs()
    settings = runs.platform.settings
    config = MigrateConfig(
        source=chosen_backends(settings, source)[0],
        target=chosen_backends(settings, to)[0],
        k=k,
        release=release,
        reason=reason if release else "a comparison",
        override_freeze=override_freeze,
    )
    report = launch(runs, config).output
    asked = report["release"]
    if as_json:
        say_json(report)
    else:
        _say_report(report)
        if not release:
            say("no pointer has moved (--release --reason WHY asks for it)")
        elif asked is None or asked["moved"]:
            say(f"{to} is now live")
        else:
            say(asked["summary"])
    end_by_releases([asked] if asked else [])


def _say_report(report: dict[str, Any]) -> None:
    shadow = report["shadow"]
    correlation = shadow["rank_correlation"]
    say(report["summary"])
    say_table(
        f"Shadow comparison, {shadow['queries']} queries",
        ["", shadow["old"], shadow["new"]],
        [
            [f"overlap@{shadow['k']}", "", f"{shadow['overlap']:.3f}"],
            ["identical answers", "", f"{shadow['identical']:.1%}"],
            ["rank correlation (tau-b)", "", "-" if correlation is None else f"{correlation:.3f}"],
            ["latency p50, ms", f"{shadow['old_p50_ms']:.1f}", f"{shadow['new_p50_ms']:.1f}"],
            ["latency p95, ms", f"{shadow['old_p95_ms']:.1f}", f"{shadow['new_p95_ms']:.1f}"],
        ],
    )
    for text, overlap in shadow["worst"]:
        if overlap < 1:
            say(f"  overlap {overlap:.2f}: {text[:90]}")
