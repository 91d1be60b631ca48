"""How a command ends: the codes that scripts go by.

Belongs here: every code, what it means, and which error ends with which.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import IntEnum
from typing import Any

import typer

from vector_platform.errors import RefusedByPolicy, VectorPlatformError


class Exit(IntEnum):
    """Exit codes of every verb."""

    DONE = 0
    FAILED = 1
    USAGE = 2
    DIFFERS = 3
    REFUSED = 4
    WAITS = 5
    OLDER = 6
    STOPPED = 130

    @property
    def means(self) -> str:
        """What it tells a script."""
        return _MEANS[self]


_MEANS = {
    Exit.DONE: "done",
    Exit.FAILED: "failed; the message says why and what to do",
    Exit.USAGE: "the command line is wrong",
    Exit.DIFFERS: "what was compared differs",
    Exit.REFUSED: "refused by policy: a guard, a gate, a freeze or a list of approvers",
    Exit.WAITS: "waits for somebody to decide",
    Exit.OLDER: "equal to an older snapshot than the newest",
    Exit.STOPPED: "stopped with Ctrl+C; what was committed stays",
}

# Below the help of the root.
EPILOG = "Exit codes: " + "; ".join(f"{code} {code.means}" for code in Exit) + "."


class WrongUsage(VectorPlatformError):
    """An option or argument that this deployment cannot follow."""


def code_of(error: VectorPlatformError) -> Exit:
    """The code that an error ends with."""
    if isinstance(error, WrongUsage):
        return Exit.USAGE
    return Exit.REFUSED if isinstance(error, RefusedByPolicy) else Exit.FAILED


def end_by_releases(asked: Iterable[Mapping[str, Any]]) -> None:
    """End with what became of requests for a release, worst first; return when all is done.

    Args:
        asked: Facts of each part, as `Reconciled.facts` gives them.
    """
    parts = list(asked)
    if any(part["refused"] for part in parts):
        raise typer.Exit(Exit.REFUSED)
    if any(part["waits"] for part in parts):
        raise typer.Exit(Exit.WAITS)
