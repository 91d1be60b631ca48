"""What every verb says of itself."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import typer

HEAVY = [
    "dagster",
    "torch",
    "sentence_transformers",
    "pyarrow",
    "deltalake",
    "duckdb",
    "pandas",
    "pymilvus",
    "pinecone",
]


def verbs() -> list[list[str]]:
    """Every command and group, as the words that name it."""
    from vector_platform.cli.app import app

    def below(command: Any, words: list[str]) -> Iterator[list[str]]:
        yield words
        for name, child in getattr(command, "commands", {}).items():
            yield from below(child, [*words, name])

    return list(below(typer.main.get_command(app), []))


def test_every_verb_explains_itself_without_a_heavy_import() -> None:
    program = (
        "import json, sys\n"
        "from vector_platform.cli import main\n"
        f"for words in {verbs()!r}:\n"
        "    sys.argv = ['vector-platform', *words, '--help']\n"
        "    try:\n"
        "        main()\n"
        "    except SystemExit as stop:\n"
        "        assert not stop.code, words\n"
        f"print(json.dumps([name for name in {HEAVY!r} if name in sys.modules]))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("Usage:") == len(verbs()) > 20
    assert json.loads(done.stdout.splitlines()[-1]) == []


def test_every_verb_and_option_has_a_help_text() -> None:
    from vector_platform.cli.app import app

    def below(command: Any, name: str) -> Iterator[str]:
        if not command.help:
            yield name
        for child_name, child in getattr(command, "commands", {}).items():
            yield from below(child, f"{name} {child_name}")

    assert list(below(typer.main.get_command(app), "vector-platform")) == []
