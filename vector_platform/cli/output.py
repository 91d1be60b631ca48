"""How verbs speak: tables for people, JSON for machines, errors on standard error.

Belongs here: printing only.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Annotated, Any

import typer

JsonFlag = Annotated[bool, typer.Option("--json", help="Print JSON for machines.")]
BackendOption = Annotated[str, typer.Option("--backend", help="milvus, pinecone, or both.")]
OverrideFreeze = Annotated[
    str, typer.Option("--override-freeze", help="Reason to release during a freeze; it is kept.")
]
AllowShrink = Annotated[
    bool, typer.Option("--allow-shrink", help="Let a release take many rows from readers.")
]
ModelOption = Annotated[
    str | None, typer.Option("--model", help="Model version; default: every active one.")
]


def say(line: str = "") -> None:
    """Print one line for people."""
    from rich.console import Console

    Console(highlight=False, soft_wrap=True).print(line)


def say_aside(line: str) -> None:
    """Print one line about what goes on, beside the output: on standard error."""
    typer.echo(line, err=True)


def say_json(value: Any) -> None:
    """Print a value as JSON."""
    typer.echo(json.dumps(value, indent=2, default=str, ensure_ascii=False))


def say_table(title: str, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Print a table for people."""
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table

    table = Table(title=title, title_justify="left", header_style="bold", box=SIMPLE_HEAD)
    for number, column in enumerate(columns):
        # The first names the row: people copy it.
        table.add_column(column, overflow="fold", no_wrap=number == 0)
    for row in rows:
        table.add_row(*(str(cell) for cell in row))
    Console(highlight=False).print(table)
