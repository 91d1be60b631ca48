"""Records of checks and reactions: written once, and all that follows from them follows."""

from __future__ import annotations

import ast
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from vector_platform.remediation.checks import CHECKS
from vector_platform.remediation.reactions import REACTIONS
from vector_platform_tests.remediation import tables

PACKAGE = Path(__file__).parents[2] / "vector_platform"


def test_the_name_of_a_check_is_written_once() -> None:
    found: dict[str, list[str]] = {name: [] for name in CHECKS}
    for path in sorted(PACKAGE.rglob("*.py")):
        for text in names_and_strings(ast.parse(path.read_text(encoding="utf-8"))):
            for name in re.findall(r"\w+", text):
                if name in found:
                    found[name].append(str(path.relative_to(PACKAGE)))
    assert found == {name: ["remediation/checks.py"] for name in CHECKS}


def test_a_fault_is_told_from_checks_and_ruled_out_by_checks_that_there_are() -> None:
    for one in REACTIONS:
        assert {*one.checks, *one.ruled_out_by} <= set(CHECKS)
        of_index = {CHECKS[check].of == "index" for check in one.checks}
        assert of_index == {one.reach in ("index", "upkeep", "rows")}


def test_the_tables_of_the_operators_page_are_the_records() -> None:
    text = tables.PAGE.read_text(encoding="utf-8")
    assert text == tables.written(text), "run python -m vector_platform_tests.remediation.tables"


def names_and_strings(tree: ast.Module) -> Iterator[str]:
    """Names of functions and every string of a module, without its documentation."""
    said = Counter(
        id(node.body[0].value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef)
        and node.body
        and isinstance(node.body[0], ast.Expr)
    )
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef):
            yield node.name
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and not said[id(node)]:
            yield node.value
