"""What the platform takes of Dagster and Dagster does not publish: in one file, still there."""

from __future__ import annotations

import ast
import importlib
from pathlib import Path

import pytest

import vector_platform
from vector_platform.orchestration import dagster_internals

PACKAGE = Path(vector_platform.__file__).parent
INTERNALS = Path(dagster_internals.__file__)


def unpublished(file: Path) -> list[tuple[str, str]]:
    """(module, name) of every import from a private module of Dagster."""
    found = []
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("dagster._"):
            found += [(node.module or "", alias.name) for alias in node.names]
        elif isinstance(node, ast.Import):
            found += [(a.name, "") for a in node.names if a.name.startswith("dagster._")]
    return found


@pytest.mark.parametrize(("module", "name"), unpublished(INTERNALS))
def test_dagster_still_has(module: str, name: str) -> None:
    assert hasattr(importlib.import_module(module), name), f"Dagster has moved {module}.{name}"


def test_no_other_file_imports_what_dagster_does_not_publish() -> None:
    files = sorted(PACKAGE.rglob("*.py"))
    assert INTERNALS in files
    assert len(unpublished(INTERNALS)) > 5
    elsewhere = {
        str(file.relative_to(PACKAGE)): found
        for file in files
        if file != INTERNALS and (found := unpublished(file))
    }
    assert elsewhere == {}


def test_every_unpublished_name_is_used() -> None:
    texts = [
        file.read_text(encoding="utf-8") for file in PACKAGE.rglob("*.py") if file != INTERNALS
    ]
    unused = [name for _, name in unpublished(INTERNALS) if not any(name in t for t in texts)]
    assert unused == []
