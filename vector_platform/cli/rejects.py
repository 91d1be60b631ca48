"""`vector-platform rejects`: rows and files that may not land, and landing them once mended."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Annotated

import typer

from vector_platform.cli.choices import BadChoice
from vector_platform.cli.exits import Exit
from vector_platform.cli.launching import launches, open_runs
from vector_platform.cli.output import JsonFlag, say, say_json, say_table

if TYPE_CHECKING:
    from vector_platform.orchestration.launch import Runs
    from vector_platform.sources.landing.held_rejects import HeldRejects


def register(app: typer.Typer) -> None:
    """Add the verb to the root."""
    app.command()(rejects)


@launches("ingest_day")
def rejects(
    source: Annotated[
        str | None, typer.Argument(help="Only this source; then its rows are listed.")
    ] = None,
    show: Annotated[
        bool, typer.Option("--show", help="List the rows of all sources, with what they hold.")
    ] = False,
    retry: Annotated[
        bool, typer.Option("--retry", help="Land again the days that they are of.")
    ] = False,
    limit: Annotated[int, typer.Option(min=1, help="Rows that are listed at most.")] = 50,
    as_json: JsonFlag = False,
) -> None:
    """List what was read and may not land, with the reasons; after mending it, land it.

    Mend rows at their source, then --retry: what lands, or is gone, leaves the list. Ends with 3
    when a retry leaves anything in it.
    """
    from vector_platform.sources.landing.held_rejects import held_rejects, rejected_rows
    from vector_platform.wiring import Platform

    runs = open_runs() if retry else None
    platform = runs.platform if runs else Platform.load()
    if source is not None and source not in platform.settings.sources:
        raise BadChoice(f"{source!r} is not one of {', '.join(platform.settings.sources)}")
    table = platform.lake.raw_rejects
    held = held_rejects(table, source)
    if runs is not None:
        held = _retried(runs, held)
    rows = list(islice(rejected_rows(table, source), limit)) if show or source else []
    if as_json:
        say_json({"held": [vars(one) for one in held], "rows": rows})
    elif not held:
        say("nothing is rejected")
    else:
        say_table(
            "Rejected",
            ["source", "day", "rows", "reasons"],
            [[one.source, one.day, f"{one.count:,}", one.frequent()] for one in held],
        )
        if rows:
            columns = ["place", "key", "reason", *(["payload"] if show else [])]
            cells = [["" if row[name] is None else row[name] for name in columns] for row in rows]
            say_table(f"{len(rows)} of {sum(one.count for one in held):,}", columns, cells)
    if retry and not as_json:
        say("landed; `vector-platform run` brings the indexes up to it")
    if retry and held:
        raise typer.Exit(Exit.DIFFERS)


def _retried(runs: Runs, held: list[HeldRejects]) -> list[HeldRejects]:
    """What is held still after the days of all rejects were landed again."""
    from vector_platform.sources.landing.held_rejects import held_rejects

    for one in held:
        runs.land([one.source], one.day)
    places = {(one.source, one.day) for one in held}
    left = held_rejects(runs.platform.lake.raw_rejects)
    return [one for one in left if (one.source, one.day) in places]
