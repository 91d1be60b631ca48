"""`vector-platform lake`: the tables, and their care."""

from __future__ import annotations

from typing import Annotated

import typer

from vector_platform.cli.output import JsonFlag, say, say_json, say_table

app = typer.Typer(no_args_is_help=True, help="Inspect and care for the Delta tables.")


@app.command()
def status(as_json: JsonFlag = False) -> None:
    """Every table with its version and rows."""
    from vector_platform.wiring import Platform

    platform = Platform.load()
    tables = [platform.lake.raw(name) for name in platform.settings.sources]
    tables += platform.lake.tables()
    rows = [
        {
            "table": table.spec.name,
            "version": table.version(),
            "rows": table.dataset().count_rows(),
            "keys": list(table.spec.keys),
            "description": table.spec.description,
        }
        for table in tables
    ]
    if as_json:
        say_json({"lake": platform.settings.lake_uri, "tables": rows})
        return
    say_table(
        f"Lake {platform.settings.lake_uri}",
        ["table", "version", "rows", "holds"],
        [[row["table"], row["version"], row["rows"], row["description"]] for row in rows],
    )


@app.command()
def optimize() -> None:
    """Compact small files of every table."""
    from vector_platform.wiring import Platform

    for name, files in Platform.load().lake.optimize().items():
        say(f"{name}: {files} small file(s) compacted")


@app.command()
def vacuum(
    retention_hours: Annotated[int, typer.Option(help="Keep what is younger.")] = 168,
) -> None:
    """Delete files nobody needs; snapshots that an index is built from stay readable."""
    from vector_platform.wiring import Platform

    for name, files in Platform.load().lake.vacuum(retention_hours).items():
        say(f"{name}: {files} file(s) deleted")
