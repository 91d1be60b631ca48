"""`vector-platform migrate`: the same vectors on another backend, compared before a release."""

from __future__ import annotations

import getpass
from typing import TYPE_CHECKING, Annotated

import typer

from vector_platform.cli.choices import BadChoice, chosen_backends
from vector_platform.cli.output import JsonFlag, OverrideFreeze, say, say_json, say_table

if TYPE_CHECKING:
    from vector_platform.quality.recall.shadow import ShadowQuery
    from vector_platform.releases.requests.migration import MigrationReport
    from vector_platform.wiring import Platform


def register(app: typer.Typer) -> None:
    """Add the verb to the root."""
    app.command()(migrate)


def migrate(
    source: Annotated[str, typer.Option("--from", help="Backend that serves now.")],
    to: Annotated[str, typer.Option("--to", help="Backend to build on.")],
    k: Annotated[int, typer.Option("-k", help="Hits to compare.")] = 10,
    release: Annotated[
        bool, typer.Option("--release", help="Ask for the new backend's release afterwards.")
    ] = False,
    reason: Annotated[str, typer.Option(help="Recorded with the release.")] = "migration",
    override_freeze: OverrideFreeze = "",
    as_json: JsonFlag = False,
) -> None:
    """Build the live model's index on another backend, from the lake alone, and compare both.

    Golden queries go to both sides, or stored vectors where there are none; overlap, rank
    correlation and latency are reported. Without --release no pointer moves.
    """
    from vector_platform.releases.requests.migration import migrate as run_migration
    from vector_platform.wiring import Platform

    platform = Platform.load()
    if source == to:
        raise BadChoice("--from and --to name the same backend")
    (old,) = chosen_backends(platform.settings, source)[:1]
    (new,) = chosen_backends(platform.settings, to)[:1]
    try:
        report = run_migration(
            old=platform.target(old),
            old_pointer=platform.live_pointer(old),
            service=platform.release_service(new, run_id=f"cli:{getpass.getuser()}", progress=say),
            queries=_queries(platform, platform.live_pointer(old).live_generation().model_version),
            k=k,
            tell=(lambda report: None) if as_json else _say_report,
            release=release,
            actor=getpass.getuser(),
            reason=reason,
            overrides={"freeze": override_freeze} if override_freeze else {},
        )
    finally:
        platform.close()
    if as_json:
        say_json(report.facts())
        return
    if not release:
        say("no pointer has moved (--release asks for it)")
    elif report.release is None or report.release.moved:
        say(f"{new} is now live")
    else:
        say(report.release.describe())


def _say_report(report: MigrationReport) -> None:
    shadow, proof = report.shadow, report.sync.verification
    say(
        f"{shadow.new}: {report.sync.generation.rows} rows from the lake "
        f"({report.sync.mode}: {report.sync.reason}), equal to {report.sync.generation.snapshot}"
        f"{f' ({proof.describe()})' if proof else ''}"
    )
    say_table(
        f"Shadow comparison, {shadow.queries} queries",
        ["", shadow.old, shadow.new],
        [
            [f"overlap@{shadow.k}", "", f"{shadow.overlap:.3f}"],
            ["identical answers", "", f"{shadow.identical:.1%}"],
            ["rank correlation (tau-b)", "", f"{shadow.rank_correlation:.3f}"],
            ["latency p50, ms", f"{shadow.old_p50_ms:.1f}", f"{shadow.new_p50_ms:.1f}"],
            ["latency p95, ms", f"{shadow.old_p95_ms:.1f}", f"{shadow.new_p95_ms:.1f}"],
        ],
    )
    for text, overlap in shadow.worst:
        if overlap < 1:
            say(f"  overlap {overlap:.2f}: {text[:90]}")


def _queries(platform: Platform, model_version: str) -> list[ShadowQuery]:
    """What a release would be tried with, too."""
    from vector_platform.quality.recall.shadow import ShadowQuery

    return [
        ShadowQuery(probe.text, probe.vector, probe.tenant)
        for probe in platform.probes(model_version)
    ]
