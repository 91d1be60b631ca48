"""`vector-platform migrate`: the same vectors on another backend, compared before a release."""

from __future__ import annotations

import getpass
from typing import TYPE_CHECKING, Annotated

import typer

from vector_platform.cli.choices import BadChoice, chosen_backends
from vector_platform.cli.output import JsonFlag, say, say_json, say_table

if TYPE_CHECKING:
    from vector_platform.quality.shadow import ShadowQuery
    from vector_platform.releases.migration import MigrationReport
    from vector_platform.wiring import Platform

# Enough for a stable mean of overlap@10 (its standard error is below 0.02), quick to ask.
QUERIES = 200


def register(app: typer.Typer) -> None:
    """Add the verb to the root."""
    app.command()(migrate)


def migrate(
    source: Annotated[str, typer.Option("--from", help="Backend that serves now.")],
    to: Annotated[str, typer.Option("--to", help="Backend to build on.")],
    k: Annotated[int, typer.Option("-k", help="Hits to compare.")] = 10,
    release: Annotated[
        bool, typer.Option("--release", help="Move the new backend's live pointer afterwards.")
    ] = False,
    reason: Annotated[str, typer.Option(help="Recorded with the release.")] = "migration",
    as_json: JsonFlag = False,
) -> None:
    """Build the live model's index on another backend, from the lake alone, and compare both.

    Golden queries go to both sides; overlap, rank correlation and latency are reported. Without
    --release no pointer moves.
    """
    from vector_platform.releases.migration import migrate as run_migration
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
            new=platform.target(new),
            new_pointer=platform.live_pointer(new),
            sync=platform.index_sync(new, run_id=f"cli:{getpass.getuser()}", progress=say),
            queries=_queries(platform, platform.live_pointer(old).live_generation().model_version),
            k=k,
            tell=(lambda report: None) if as_json else _say_report,
            release=release,
            actor=getpass.getuser(),
            reason=reason,
            run_id="cli",
        )
    finally:
        platform.close()
    if as_json:
        say_json(report.facts())
        return
    say(f"{new} is now live" if release else "no pointer has moved (--release moves it)")


def _say_report(report: MigrationReport) -> None:
    shadow, proof = report.shadow, report.sync.verification
    say(
        f"{shadow.new}: {report.sync.generation.rows} rows from the lake "
        f"({report.sync.mode}: {report.sync.reason}), equal to {report.sync.generation.snapshot}"
        f"{f' ({proof.describe()})' if proof else ''}"
    )
    say_table(
        f"Shadow comparison, {shadow.queries} golden queries",
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
    """The golden queries with the smallest hashes, embedded by the live model."""
    from vector_platform.lake.contract import hash_text
    from vector_platform.quality.retrieval import golden_set
    from vector_platform.quality.shadow import ShadowQuery

    golden = golden_set(platform.lake.golden_queries.read())
    places = sorted(range(len(golden.texts)), key=lambda place: hash_text(golden.query_ids[place]))
    chosen = places[:QUERIES]
    vectors = platform.embedder(model_version).encode_queries([golden.texts[p] for p in chosen])
    return [
        ShadowQuery(golden.texts[place], vector, golden.tenants[place])
        for place, vector in zip(chosen, vectors, strict=True)
    ]
