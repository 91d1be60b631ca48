"""What would keep a folder from being written, told before anything is.

Belongs here: the local folders that a deployment writes into.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

from vector_platform.problems import Problem

# delta-rs makes a URL of a path, looks behind links, and decodes it once more than it encodes it:
# a `%20` is a blank then, and these others are no URL.
_NO_URL = re.compile(r"%[0-9A-Fa-f]{2}|[\[\]|^\\\x00-\x1f\x7f]")


def name_problem(lake: str) -> str | None:
    """Why a local folder of this name would be another one, or none, for Delta Lake."""
    if "://" in lake:
        return None
    found = _NO_URL.search(os.path.realpath(lake))
    return found and (
        f"the name of its folder holds {found[0]!r}, which Delta Lake takes for something else: "
        f"rename the folder, or name another (lake.uri in platform.yaml): {lake}"
    )


def lake_problems(lake: str) -> Iterator[Problem]:
    """Why the lake cannot be in a local folder."""
    if problem := name_problem(lake):
        yield Problem(("lake", "uri"), problem)
    yield from folder_problems(("lake", "uri"), Path(lake))


def nearest_folder(path: Path) -> Path:
    """The folder itself, or the lowest above it that is there."""
    return next(one for one in (path, *path.parents) if one.exists())


def folder_problems(setting: tuple[str, ...], folder: Path) -> Iterator[Problem]:
    """Why a local folder cannot be made or written into."""
    there = nearest_folder(folder)
    if not there.is_dir():
        yield Problem(setting, f"{there} is a file, where a folder is needed")
    elif not os.access(there, os.W_OK | os.X_OK):
        yield Problem(setting, f"this user may not write into {there}")
