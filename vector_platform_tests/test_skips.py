"""Tests that cannot fail: those that always skip, or assert only where they may never get to.

A skip that is not on the list fails the run. A test all of whose asserts stand behind conditions
passes when none of them is met, and one that looks at things one by one when there is none.
"""

from __future__ import annotations

import ast
import re
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


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What one run says of every case: the lines about its file."""
    folder = tmp_path_factory.mktemp("skips")
    shutil.copy(Path(__file__).with_name("conftest.py"), folder / "conftest.py")
    for number, (code, _) in enumerate(CASES.values()):
        (folder / f"test_case_{number}.py").write_text(f"import pytest\n{code}\n")
    options = ["-q", "-rA", "-p", "no:cacheprovider", "--continue-on-collection-errors"]
    command = [sys.executable, "-m", "pytest", *options, str(folder)]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 1, done.stdout
    assert "cannot fail" in done.stdout
    lines = done.stdout.splitlines()
    return {
        case: "\n".join(line for line in lines if re.match(rf"[A-Z]+ test_case_{number}\.py", line))
        for number, case in enumerate(CASES)
    }


@pytest.mark.parametrize("case", CASES)
def test_a_run_fails_when_a_test_is_skipped_for_a_reason_that_is_not_listed(
    outcomes: dict[str, str], case: str
) -> None:
    _, passes = CASES[case]
    assert bool(re.match("FAILED|ERROR", outcomes[case])) is not passes, outcomes


# Calls that give as many things as they are given, or are made to have some.
_AS_MANY = {"enumerate", "items", "list", "product", "reversed", "sorted", "values", "zip"}
_SOME = {"range", "some", "split", "splitlines"}


def _is_some(node: ast.expr, known: set[str]) -> bool:
    """Whether what is looked at one by one is never nothing, as far as its text tells."""
    if isinstance(node, ast.List | ast.Tuple | ast.Set):
        return bool(node.elts)
    if isinstance(node, ast.Dict):
        return bool(node.keys)
    if isinstance(node, ast.Name):
        return node.id.isupper() or node.id in known
    if isinstance(node, ast.Attribute | ast.Subscript | ast.Starred):
        return (isinstance(node, ast.Attribute) and node.attr.isupper()) or (
            not isinstance(node, ast.Attribute) and _is_some(node.value, known)
        )
    if isinstance(node, ast.BinOp):
        return _is_some(node.left, known) or _is_some(node.right, known)
    if isinstance(node, ast.Call):
        of = node.func
        name = of.id if isinstance(of, ast.Name) else getattr(of, "attr", "")
        of_it = [of.value] if isinstance(of, ast.Attribute) else []
        return name in _SOME or (
            name in _AS_MANY and any(_is_some(one, known) for one in (*node.args, *of_it))
        )
    return isinstance(node, ast.Constant) and bool(node.value)


def _known(test: ast.FunctionDef) -> set[str]:
    """Names of a test that stand for some things: its arguments, and what it lists itself."""
    known = {one.arg for one in test.args.args}
    for node in ast.walk(test):
        if isinstance(node, ast.Assign) and _is_some(node.value, known):
            known |= {one.id for one in node.targets if isinstance(one, ast.Name)}
    return known


def _holds_of_nothing(node: ast.expr, known: set[str]) -> bool:
    """Whether it is `all(... for ...)` over what may be nothing."""
    return (
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id == "all"
        and isinstance(node.args[0], ast.GeneratorExp)
        and not _is_some(node.args[0].generators[0].iter, known)
    )


def _checks(node: ast.AST, known: set[str]) -> bool:
    """Whether an assert is below a node that is always got to: not kept away by an `if`, but in
    each of its branches, nor in a loop over what may be nothing."""
    if isinstance(node, ast.Assert):
        return not _holds_of_nothing(node.test, known)
    if isinstance(node, ast.If):
        return all(any(_checks(one, known) for one in part) for part in (node.body, node.orelse))
    if isinstance(node, ast.For) and not _is_some(node.iter, known):
        return False
    return any(_checks(one, known) for one in ast.iter_child_nodes(node))


def _only_behind_conditions(code: str) -> list[str]:
    """Tests that assert, and nothing that they always get to."""
    return [
        one.name
        for one in ast.walk(ast.parse(code))
        if isinstance(one, ast.FunctionDef) and one.name.startswith("test_")
        if any(isinstance(node, ast.Assert) for node in ast.walk(one))
        if not _checks(one, _known(one)) and not _calls_a_check(one)
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
        ("def test_x():\n    for one in found():\n        assert one", ["test_x"]),
        ("def test_x():\n    for one in some(found()):\n        assert one", []),
        ("def test_x():\n    for one in CASES.items():\n        assert one", []),
        ("def test_x():\n    rows = found()\n    assert all(one for one in rows)", ["test_x"]),
        ("def test_x(rows):\n    assert all(one for one in rows)", []),
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
