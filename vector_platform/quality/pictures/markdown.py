"""Small tables for people, as Markdown: in metadata of the Dagster UI, and in reports.

Belongs here: the form of a table and of a text quoted in it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

# Enough of a text to recognise it.
SHOWN_CHARACTERS = 160
_SPECIAL = re.compile(r"([\\`*_\[\]<])")


def table(columns: Sequence[object], rows: Iterable[Sequence[object]]) -> list[str]:
    """The lines of a table."""
    return [_row(columns), _row(["---"] * len(columns)), *(_row(row) for row in rows)]


def quote(text: str) -> str:
    """The beginning of a text, on one line, and meaning nothing to Markdown."""
    line = " ".join(text[: 4 * SHOWN_CHARACTERS].split())
    short = line if len(line) <= SHOWN_CHARACTERS else f"{line[:SHOWN_CHARACTERS]}…"
    return _SPECIAL.sub(r"\\\1", short)


def _row(cells: Sequence[object]) -> str:
    shown = (str(cell).replace("|", "\\|").replace("\n", " ") for cell in cells)
    return "| " + " | ".join(shown) + " |"
