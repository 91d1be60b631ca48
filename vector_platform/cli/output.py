"""How verbs speak: tables for people, JSON for machines, errors on standard error.

Belongs here: printing, and the options that verbs share.

With `--json` standard output is one JSON document, however the verb ends; what goes on meanwhile
is on standard error. A verb that fails before it has anything to tell says there why, in the
shape of `say_ending`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from textwrap import wrap
from typing import Annotated, Any

import typer


def _in_words(reason: str) -> str:
    if not reason.strip():
        raise typer.BadParameter("say why in words: it is kept with the decision")
    return reason


JSON = "--json"
JsonFlag = Annotated[
    bool,
    typer.Option(JSON, help="Print one JSON document; what goes on is said on standard error."),
]
Reason = Annotated[
    str, typer.Option("--reason", callback=_in_words, help="Why; kept with the decision for good.")
]
BackendOption = Annotated[str, typer.Option("--backend", help="A backend in use, or all.")]
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
    typer.echo(harmless(line))


def say_aside(line: str) -> None:
    """Print one line about what goes on, beside the output: on standard error."""
    typer.echo(harmless(line), err=True)


def say_json(value: Any, *, indent: int | None = 2) -> None:
    """Print the one JSON document of a verb; without an indent, on one line."""
    typer.echo(json.dumps(value, indent=indent, default=str, ensure_ascii=False))
    _reader.is_told = True


def progress(as_json: bool) -> Callable[[str], None]:
    """What says what goes on in a verb that takes its time: people read it in the output."""
    return say_aside if as_json else say


def read_by(arguments: Sequence[str]) -> None:
    """Take from the arguments of a command who reads its output, so that errors speak to them."""
    _reader.is_machine, _reader.is_told = JSON in arguments, False


def say_error(message: str, *, kind: str, code: int) -> None:
    """Say on standard error why a verb fails, and to a machine in its document."""
    typer.secho(harmless(f"error: {message}"), fg=typer.colors.RED, err=True)
    say_ending(message, kind=kind, code=code)


def say_ending(message: str, *, kind: str, code: int) -> None:
    """Print the document of a verb that ends without one, when a machine reads it.

    Args:
        message: What is wrong, and the way out.
        kind: Class of the error, which scripts may go by.
        code: The exit code.
    """
    if _reader.is_machine and not _reader.is_told:
        say_json({"error": {"kind": kind, "code": int(code), "message": message}})


def say_table(title: str, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Print a table for people: in a pipe a line a row, on a terminal in its width.

    Names are broken over lines by neither, because people copy them. On a terminal that is too
    narrow for the table, every row is a few lines, a column each.
    """
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.measure import Measurement
    from rich.table import Table

    # What stands in a cell is data: brackets in it style nothing, and colons make no emoji.
    console = Console(highlight=False, markup=False, emoji=False)
    cells = [[harmless(str(cell)) for cell in row] for row in rows]
    if not console.is_terminal:
        cells = [[" ".join(cell.split("\n")) for cell in row] for row in cells]
    table = Table(header_style="bold", box=SIMPLE_HEAD)
    for number, column in enumerate(columns):
        names = all(_is_name(row[number]) for row in cells)
        table.add_column(harmless(column), overflow="fold", no_wrap=names)
    for row in cells:
        table.add_row(*row)
    size = Measurement.get(console, console.options.update_width(_ANY_WIDTH), table)
    say(title)
    if console.is_terminal and size.minimum > console.width:
        _say_blocks(columns, cells, console.width)
        return
    console.width = console.width if console.is_terminal else size.maximum
    console.print(table)


def _say_blocks(columns: Sequence[str], cells: Sequence[Sequence[str]], width: int) -> None:
    for row in cells:
        say()
        for column, cell in zip(columns, row, strict=True):
            for line in wrap(
                f"{column}: {' '.join(cell.split())}",
                width,
                subsequent_indent="  ",
                break_long_words=False,
                break_on_hyphens=False,
            ):
                say(line)


def harmless(text: str) -> str:
    """Text as a terminal may have it: characters that would steer it are shown as escapes."""
    return _STEERING.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


def _is_name(cell: str) -> bool:
    return " " not in cell and len(cell) <= _LONGEST_NAME


@dataclass
class _Reader:
    """Who reads the output of this process, and whether it has its document by now."""

    is_machine: bool = False
    is_told: bool = False


# One for all threads, since there is one standard output.
_reader = _Reader()
# Control characters but tab and line feed, what turns the direction of a line, and halves of
# characters, which no stream takes.
_STEERING = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
_ANY_WIDTH = 100_000
# More characters without a space are text of a script that has none.
_LONGEST_NAME = 80
