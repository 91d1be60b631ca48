"""What would keep a folder from being written, told before anything is.

Belongs here: the local folders that a deployment writes into.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from vector_platform.problems import Problem


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
