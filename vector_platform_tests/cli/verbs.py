"""The command tree, as the tests read it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import typer

from vector_platform.cli.launching import jobs_of


def commands() -> dict[str, Any]:
    """Every verb of the command line -> its command."""
    from vector_platform.cli.app import app

    def below(command: Any, name: str) -> Iterator[tuple[str, Any]]:
        children = getattr(command, "commands", {})
        if not children:
            yield name.strip(), command
        for child_name, child in children.items():
            yield from below(child, f"{name} {child_name}")

    return dict(below(typer.main.get_command(app), ""))


def verbs() -> dict[str, tuple[str, ...]]:
    """Every verb of the command line -> the jobs that it is tied to."""
    return {name: jobs_of(command.callback) for name, command in commands().items()}
