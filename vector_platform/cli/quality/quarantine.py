"""`vector-platform quarantine`: keep documents from readers, and give them back when mended."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

import typer

from vector_platform.cli.launching import launch, launches, open_runs
from vector_platform.cli.output import JsonFlag, Reason, say, say_json, say_table

app = typer.Typer(no_args_is_help=True, help="Keep bad documents from readers until mended.")

FOLLOW = "Indexes follow with the next `vector-platform run`, or by themselves where the daemon is."


@app.command(name="list")
def list_(
    everything: Annotated[bool, typer.Option("--all", help="Also those that have ended.")] = False,
    as_json: JsonFlag = False,
) -> None:
    """Quarantines, the documents each holds, and how many of them changed since."""
    from vector_platform.lake.slices.quarantine import SliceQuarantine
    from vector_platform.wiring import Platform

    quarantined = SliceQuarantine(Platform.load().lake)
    found = [
        {
            **one.facts(),
            "documents": len(quarantined.documents(one.slice)) if one.holds else 0,
            "changed_since": quarantined.mended(one) if one.holds else None,
        }
        for one in quarantined.all()
        if everything or one.holds
    ]
    if as_json:
        say_json(found)
        return
    columns = ["quarantine_id", "source", "tenant", "since", "documents", "changed_since"]
    columns += ["actor", "reason", "opened_at", "lifted_at"]
    rows = [["" if one[name] is None else one[name] for name in columns] for one in found]
    say_table("Quarantines", [name.replace("_", " ") for name in columns], rows)


@app.command()
@launches("quarantine_slice")
def add(
    reason: Reason,
    source: Annotated[str, typer.Option(help="Documents of this source.")] = "",
    tenant: Annotated[str, typer.Option(help="Documents of this tenant.")] = "",
    since: Annotated[
        datetime | None,
        typer.Option(formats=["%Y-%m-%d"], help="Only what changed on this day (UTC) or later."),
    ] = None,
    as_json: JsonFlag = False,
) -> None:
    """Keep documents from readers: they stay in the lake, and have no chunks.

    An index deletes them with its next sync; more than
    guard.max_delete_share of it has to be let through with --allow-delete.
    """
    from vector_platform.orchestration.corpus.quarantine_jobs import QuarantineConfig, SliceConfig

    day = since.date().isoformat() if since else ""
    config = QuarantineConfig(
        slices=[SliceConfig(source=source, tenant=tenant, since=day)],
        reason=reason,
    )
    (held,) = launch(open_runs(), config).output
    if as_json:
        say_json(held)
        return
    say(f"{held['quarantine_id']}: {held['documents']} documents have no chunks now. {FOLLOW}")


@app.command()
@launches("replay_slice")
def replay(
    quarantine_ids: Annotated[list[str], typer.Argument(help="From `quarantine list`.")],
    reason: Reason,
    as_is: Annotated[
        bool, typer.Option("--as-is", help="Also when none of the documents has changed.")
    ] = False,
    as_json: JsonFlag = False,
) -> None:
    """End quarantines: their documents are cut and embedded as they have been landed by now.

    Mend the source first, and land it again with `vector-platform
    run`: documents in quarantine follow their source, too.
    """
    from vector_platform.orchestration.corpus.quarantine_jobs import ReplayConfig

    config = ReplayConfig(quarantines=quarantine_ids, reason=reason, as_is=as_is)
    done = launch(open_runs(), config).output
    if as_json:
        say_json(done)
        return
    for one in done:
        say(f"{one['quarantine_id']}: {one['documents']} documents have chunks again. {FOLLOW}")
