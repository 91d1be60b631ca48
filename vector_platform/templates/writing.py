"""A template becomes a deployment in a folder.

Belongs here: which files a template gives, and writing all of them or none.

In a template `dot-x` stands for `.x`, since packaging and version control read names with a dot
as meant for them, and `x.db.sql` for the SQLite database `x.db` that its statements make.
`<<name>>` in a file is a value of the new deployment; nothing else of a file is a pattern.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from datetime import date
from enum import StrEnum
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path, PurePosixPath

from vector_platform.errors import TerminalError

_FILES = files(__package__) / "files"
_SOURCES = "sources.yaml"
# Of a file of statements that stands for the database they make.
_STATEMENTS = ".sql"
_NOT_OURS = {"__pycache__"}


class Template(StrEnum):
    """What a new deployment reads."""

    DOCS = "docs"
    CSV = "csv"
    SQL = "sql"
    API = "api"


class AlreadyThere(TerminalError):
    """A file of a new deployment would take the place of one that is there.

    Attributes:
        found: Those that are there, below the folder.
    """

    def __init__(self, folder: Path, found: list[str]) -> None:
        self.found = found
        super().__init__(
            f"nothing was written, since these are there already: {', '.join(found)} (in "
            f"{folder}). Name an empty folder, or move them away"
        )


def template_files(template: Template, *, today: date, version: str) -> dict[str, str]:
    """The files of a template, as a new deployment has them: path -> text.

    Args:
        template: Which.
        today: The first daily partition of the new deployment.
        version: Release of this package that it asks for.
    """
    own = _texts(_FILES / template.value)
    values = {
        "start_date": today.isoformat(),
        "version": version,
        "sources": own.pop(_SOURCES).strip("\n"),
    }
    return {
        _named(path): _filled(text, values)
        for path, text in sorted((_texts(_FILES / "common") | own).items())
    }


def sample_documents() -> dict[str, str]:
    """The ten pages of the template `docs`: path -> text."""
    own = _texts(_FILES / Template.DOCS.value)
    return {path: text for path, text in own.items() if path != _SOURCES}


def write_files(folder: Path, texts: Mapping[str, str]) -> list[str]:
    """Write files into a folder, which is made where it is not there.

    Returns:
        What was written, below the folder.

    Raises:
        AlreadyThere: One of them is there; nothing was written.
    """
    targets = {path.removesuffix(_STATEMENTS): text for path, text in texts.items()}
    found = [path for path in targets if _is_taken(folder / path)]
    if found:
        raise AlreadyThere(folder, found)
    for path, text in targets.items():
        place = folder / path
        place.parent.mkdir(parents=True, exist_ok=True)
        # Exclusive: what somebody else has written in the meantime stays.
        with place.open("x", encoding="utf-8", newline="\n") as file:
            if path not in texts:
                _make_database(place, text)
            else:
                file.write(text)
    return list(targets)


def _is_taken(path: Path) -> bool:
    """Whether something is there, be it a link to nothing, or a file instead of a folder."""
    return path.is_symlink() or path.exists() or any(parent.is_file() for parent in path.parents)


def _make_database(place: Path, statements: str) -> None:
    connection = sqlite3.connect(place)
    try:
        connection.executescript(statements)
        connection.commit()
    finally:
        connection.close()


def _texts(folder: Traversable, below: str = "") -> dict[str, str]:
    found: dict[str, str] = {}
    for entry in folder.iterdir():
        if entry.name in _NOT_OURS:
            continue
        if entry.is_dir():
            found |= _texts(entry, f"{below}{entry.name}/")
        else:
            found[below + entry.name] = entry.read_text(encoding="utf-8")
    return found


def _named(path: str) -> str:
    parts = PurePosixPath(path).parts
    return "/".join(f".{p.removeprefix('dot-')}" if p.startswith("dot-") else p for p in parts)


def _filled(text: str, values: Mapping[str, str]) -> str:
    for name, value in values.items():
        text = text.replace(f"<<{name}>>", value)
    return text
