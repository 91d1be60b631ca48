"""The registry of backends: the one list, and no other room that knows one by name."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from vector_platform.faults import MissingExtra
from vector_platform.indexes import registry
from vector_platform.indexes.base import Backend
from vector_platform.indexes.registry import BACKENDS, open_index, registered
from vector_platform.settings import BackendName

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "vector_platform"
# Where a backend may be named: its folder, the one list, its embedded server, the example.
NAMED = ("indexes/backends/", "indexes/registry.py", "local/", "demo/")


def test_no_other_room_knows_a_backend_by_name() -> None:
    names = re.compile("|".join(BACKENDS), re.IGNORECASE)
    said = [
        f"{path}:{line} {word[:60]}"
        for path, tree in modules()
        if not path.startswith(NAMED)
        for line, word in words(tree)
        if names.search(word)
    ]
    assert said == []


@pytest.mark.parametrize("backend", BACKENDS)
def test_only_a_backends_own_folder_imports_its_client(backend: BackendName) -> None:
    packages = registered(backend).packages
    assert packages
    importers = {
        path
        for path, tree in modules()
        for node in ast.walk(tree)
        for name in imported(node)
        if name.partition(".")[0] in packages
    }
    assert importers
    assert [one for one in importers if not one.startswith(f"indexes/backends/{backend}/")] == []


def test_the_registry_lists_every_folder_of_a_backend() -> None:
    folders = {path.parent.name for path in (PACKAGE / "indexes" / "backends").glob("*/*.py")}
    assert folders == set(BACKENDS)


def test_a_backend_whose_client_is_not_installed_says_which_extra_brings_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    known = registered(BACKENDS[0])
    absent = Backend(section=known.section, open=known.open, packages=("no_such_client",))
    monkeypatch.setattr(registry, "registered", lambda backend: absent)
    with pytest.raises(MissingExtra, match=rf"pip install 'vector-platform\[{BACKENDS[0]}\]'"):
        open_index(BACKENDS[0], known.section.model_validate({}), local=lambda: pytest.fail())


@cache
def modules() -> list[tuple[str, ast.Module]]:
    return [
        (path.relative_to(PACKAGE).as_posix(), ast.parse(path.read_text(encoding="utf-8")))
        for path in sorted(PACKAGE.rglob("*.py"))
    ]


def imported(node: ast.AST) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    return [node.module or ""] if isinstance(node, ast.ImportFrom) else []


def words(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Names and texts of the code, with their lines; no docstrings, no comments."""
    docstrings = {
        id(first.value)
        for node in ast.walk(tree)
        if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef))
        for first in node.body[:1]
        if isinstance(first, ast.Expr)
    }
    for node in ast.walk(tree):
        line = getattr(node, "lineno", 0)
        if isinstance(node, ast.Constant):
            if isinstance(node.value, str) and id(node) not in docstrings:
                yield line, node.value
            continue
        for field in ("id", "attr", "arg", "name", "module"):
            if isinstance(word := getattr(node, field, None), str):
                yield line, word
