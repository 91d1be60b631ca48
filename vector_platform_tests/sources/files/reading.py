"""Reading files as a source does: what the tests of all readers share."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

from vector_platform.settings import FilesSource
from vector_platform.sources.base import DayWindow, Reject, Source, SourceRow
from vector_platform.sources.registry import open_source

WINDOW = DayWindow(date(2026, 11, 1))


def opened(root: Path, path: str, **more: Any) -> Source:
    """The reader of a path."""
    spec = FilesSource.model_validate({"kind": "files", "path": path, **more})
    return open_source("notes", spec, root)


def read(root: Path, path: str, **more: Any) -> tuple[list[SourceRow], list[Reject]]:
    """Rows and rejects of a path."""
    found = list(opened(root, path, **more).read(WINDOW))
    assert len({item.place for item in found}) == len(found), "places are unique"
    return (
        [item for item in found if isinstance(item, SourceRow)],
        [item for item in found if isinstance(item, Reject)],
    )


def noted(root: Path, path: str, **more: Any) -> list[str]:
    """What a reading of a path notes."""
    source = opened(root, path, **more)
    for _ in source.read(WINDOW):
        pass
    return source.notes()


def values(rows: list[SourceRow]) -> list[dict[str, Any]]:
    """Their values alone."""
    return [row.values for row in rows]
