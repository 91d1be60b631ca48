"""The record of measurements has one writer and reader."""

from __future__ import annotations

import re
from pathlib import Path

import vector_platform

PACKAGE = Path(vector_platform.__file__).parent


def test_the_table_of_evaluations_is_written_and_read_in_one_place() -> None:
    touching = {
        path.relative_to(PACKAGE).as_posix()
        for path in PACKAGE.rglob("*.py")
        if re.search(r"lake\.evaluations\b(?! import)", path.read_text(encoding="utf-8"))
    }
    assert touching == {"lake/evaluations.py"}
