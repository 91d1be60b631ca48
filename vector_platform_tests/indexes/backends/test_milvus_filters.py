"""Values in Milvus' filters are data, and nothing else of ours talks of rows to its client."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from milvus_lite.search.filter import parse_expr
from milvus_lite.search.filter.ast import And, CmpOp, InOp, StringLit

from vector_platform.indexes.backends.milvus.filters import UNFILTERED, after, among, of_tenant
from vector_platform.indexes.contract import IndexRejected

ROOM = Path(__file__).parents[3] / "vector_platform" / "indexes" / "backends" / "milvus"
# Where the client's methods that name rows are called, and where a filter is made.
CALLS, FILTERS = "calls.py", "filters.py"
# Arguments of the client that say which rows, and calls that make a condition or hide one.
ARGUMENTS = {"filter", "ids", "expr", "expression", "pks", "filter_params"}
CALLED = {"query_iterator", "search_iterator", "Filter"}
HOSTILE = st.text(max_size=60) | st.text("\\\"'[](){}|&=!%_ \n\r\t\0$id", max_size=60)


@given(HOSTILE)
def test_nothing_in_a_value_can_end_its_literal(text: str) -> None:
    quoted = of_tenant(text).text.removeprefix("tenant == ")
    inside = re.sub(r"\\.", "", quoted[1:-1])
    assert quoted[0] == quoted[-1] == '"'
    assert not {'"', "\\", "\n", "\r"} & set(inside)


@given(HOSTILE, st.lists(HOSTILE, min_size=1, max_size=5))
def test_milvus_lite_reads_every_value_back_as_it_was(tenant: str, ids: list[str]) -> None:
    parsed = parse_expr((of_tenant(tenant) & among("id", ids)).text)
    assert isinstance(parsed, And)
    owner, named = parsed.operands
    assert isinstance(owner, CmpOp) and isinstance(owner.right, StringLit)
    assert isinstance(named, InOp)
    assert owner.right.value == tenant
    assert [literal.value for literal in named.values.elements] == ids


def test_conditions_are_joined_and_no_condition_adds_nothing() -> None:
    assert among("id", ["a", 'b"']).text == 'id in ["a", "b\\""]'
    assert among("tenant", ["x"], negated=True).text == 'tenant not in ["x"]'
    assert (of_tenant("t") & after("a")).text == '(tenant == "t") and (id > "a")'
    assert (UNFILTERED & after("a")).text == '(id > "a")'


def test_what_is_no_unicode_is_refused_in_one_line() -> None:
    with pytest.raises(IndexRejected, match="is not Unicode text") as caught:
        of_tenant("\udcff")
    assert "\n" not in str(caught.value)


def _talks_of_rows(tree: ast.AST) -> list[str]:
    """Places that hand an expression or ids to a client, or make a filter from a text."""
    found = []
    for node in ast.walk(tree):
        named: set[object] = set()
        if isinstance(node, ast.Call):
            named = ARGUMENTS & {keyword.arg for keyword in node.keywords}
            named |= CALLED & {getattr(node.func, "attr", getattr(node.func, "id", None))}
        elif isinstance(node, ast.Dict):
            named = ARGUMENTS & {key.value for key in node.keys if isinstance(key, ast.Constant)}
        if named:
            found.append(f"line {getattr(node, 'lineno', '?')}: {ast.unparse(node)[:80]}")
    return found


def test_only_one_file_hands_conditions_to_the_client_and_one_makes_them() -> None:
    files = sorted(ROOM.glob("*.py"))
    assert len(files) >= 6
    found = {file.name: _talks_of_rows(ast.parse(file.read_text())) for file in files}
    assert found.pop(FILTERS), "the test no longer sees how filters are made"
    in_calls = found.pop(CALLS)
    assert len(in_calls) == 3  # delete, query, search
    assert all("rows.text" in place for place in in_calls)
    assert not {name: places for name, places in found.items() if places}
