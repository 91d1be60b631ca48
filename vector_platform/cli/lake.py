"""`vector-platform lake`: the tables, and their care."""

from __future__ import annotations

from typing import Annotated

import typer

from vector_platform.cli.exits import Exit
from vector_platform.cli.launching import launch, launches, open_runs
from vector_platform.cli.output import JsonFlag, say, say_json, say_table
from vector_platform.masking import masked

app = typer.Typer(no_args_is_help=True, help="Inspect and care for the Delta tables.")


@app.command()
def status(as_json: JsonFlag = False) -> None:
    """Every table with its version and rows."""
    from vector_platform.wiring import Platform

    platform = Platform.load()
    uri = masked(platform.settings.lake_uri)
    tables = [platform.lake.raw(name) for name in platform.settings.sources]
    tables += platform.lake.tables()
    rows = [
        {
            "table": table.spec.name,
            "version": table.version() if table.exists() else None,
            "rows": table.rows(),
            "keys": list(table.spec.keys),
            "description": table.spec.description,
        }
        for table in tables
    ]
    if as_json:
        say_json({"lake": uri, "tables": rows})
        return
    say_table(
        f"Lake {uri}",
        ["table", "version", "rows", "holds"],
        [
            [
                row["table"],
                "not made yet" if row["version"] is None else row["version"],
                row["rows"],
                row["description"],
            ]
            for row in rows
        ],
    )


@app.command()
@launches("optimize_lake")
def optimize(as_json: JsonFlag = False) -> None:
    """Compact small files of every table."""
    compacted = launch(open_runs()).output
    if as_json:
        say_json({"files_compacted": compacted})
        return
    for name, files in compacted.items():
        say(f"{name}: {files} small file(s) compacted")


@app.command()
@launches("vacuum_lake")
def vacuum(
    retention_hours: Annotated[int, typer.Option(help="Keep what is younger.")] = 168,
    as_json: JsonFlag = False,
) -> None:
    """Delete files nobody needs; snapshots that an index is built from stay readable."""
    from vector_platform.orchestration.lake.jobs import VacuumConfig

    config = VacuumConfig(retention_hours=retention_hours)
    deleted = launch(open_runs(), config).output
    if as_json:
        say_json({"files_deleted": deleted})
        return
    for name, files in deleted.items():
        say(f"{name}: {files} file(s) deleted")


@app.command(name="audit-tenants")
def audit_tenants(as_json: JsonFlag = False) -> None:
    """Tenants and regions that earlier versions changed or made one. Exit 3 when there are any.

    Earlier versions trimmed and composed them: different ones could become one, and then saw each
    other's rows. Now they are taken exactly, and the next run puts every row under its own.
    """
    from vector_platform.corpus.former_tenants import former_identities
    from vector_platform.wiring import Platform

    platform = Platform.load()
    found = former_identities(platform.lake, platform.settings)
    if as_json:
        say_json([one.facts() for one in found])
    elif not found:
        say("no tenant or region was changed or merged")
    else:
        columns = ["as it landed", "rows", "became", "documents there", "chunks there", "what"]
        rows = [
            [
                ascii(value.value),
                value.rows,
                f"{one.role} {one.became!a}",
                value.documents_elsewhere,
                value.chunks_elsewhere,
                ("merged" if one.merged else "renamed")
                + (f"; refused now: {value.problem}" if value.problem else ""),
            ]
            for one in found
            for value in one.values
        ]
        say_table("Tenants and regions that were changed", columns, rows)
        say(
            "Whoever could ask for a merged one could see the rows of all its values. `run` puts "
            "every row under its own; a refused value must be mended at its source."
        )
    if found:
        raise typer.Exit(Exit.DIFFERS)
