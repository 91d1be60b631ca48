"""Tests that cannot fail: those that always skip, and those that assert only behind an `if`.

A skip that is not on the list fails the run. A test all of whose asserts stand behind conditions
passes when none of them is met.
"""

from __future__ import annotations

import ast
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

CASES = {
    "a skip in a test": ("def test_x():\n    pytest.skip('not yet')", False),
    "a mark": ("@pytest.mark.skip(reason='later')\ndef test_x(): pass", False),
    "a condition": ("@pytest.mark.skipif(True, reason='old')\ndef test_x(): pass", False),
    "an expected failure": ("@pytest.mark.xfail\ndef test_x(): assert False", False),
    "a missing library": ("pytest.importorskip('no_such_library')\ndef test_x(): pass", False),
    "no case at all": ("@pytest.mark.parametrize('x', [])\ndef test_x(x): pass", False),
    "a corpus": ("def test_x():\n    pytest.skip('the folder ../shared/data is not there')", True),
    "nothing": ("def test_x(): pass", True),
}


@pytest.mark.parametrize("case", CASES)
def test_a_run_fails_when_a_test_is_skipped_for_a_reason_that_is_not_listed(
    tmp_path: Path, case: str
) -> None:
    code, passes = CASES[case]
    shutil.copy(Path(__file__).with_name("conftest.py"), tmp_path / "conftest.py")
    (tmp_path / "test_case.py").write_text(f"import pytest\n{code}\n")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(tmp_path)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode == 0) is passes, done.stdout
    assert passes or "cannot fail" in done.stdout


def _checks(node: ast.AST) -> bool:
    """Whether an assert is below a node that no `if` keeps away, or one in each of its branches."""
    if isinstance(node, ast.Assert):
        return True
    if isinstance(node, ast.If):
        return all(any(map(_checks, branch)) for branch in (node.body, node.orelse))
    return any(map(_checks, ast.iter_child_nodes(node)))


def _only_behind_conditions(code: str) -> list[str]:
    """Tests that assert, and nothing without a condition."""
    return [
        one.name
        for one in ast.walk(ast.parse(code))
        if isinstance(one, ast.FunctionDef) and one.name.startswith("test_")
        if any(isinstance(node, ast.Assert) for node in ast.walk(one))
        if not _checks(one) and not _calls_a_check(one)
    ]


def _calls_a_check(test: ast.FunctionDef) -> bool:
    """Whether it calls something that checks: `pytest.raises`, `assert_...`."""
    names = (
        node.attr if isinstance(node, ast.Attribute) else node.id
        for node in ast.walk(test)
        if isinstance(node, (ast.Attribute, ast.Name))
    )
    return any(name == "raises" or name.startswith("assert_") for name in names)


@pytest.mark.parametrize(
    ("code", "found"),
    [
        (
            "def test_x():\n    for one in some():\n        if one:\n            assert one",
            ["test_x"],
        ),
        (
            "def test_x():\n    if here():\n        assert True\n    else:\n        assert 1",
            [],
        ),
        ("def test_x():\n    assert some()\n    if one:\n        assert one", []),
        ("def test_x():\n    run()", []),
    ],
)
def test_asserts_that_all_stand_behind_conditions_are_found(code: str, found: list[str]) -> None:
    assert _only_behind_conditions(code) == found


def test_no_test_asserts_only_where_a_condition_lets_it() -> None:
    files = sorted(Path(__file__).parent.rglob("test_*.py"))
    assert len(files) > 100
    found = {
        str(file.relative_to(Path(__file__).parent)): names
        for file in files
        if (names := _only_behind_conditions(file.read_text(encoding="utf-8")))
    }
    assert found == {}
