"""The filter language against an evaluator written without looking at the real one."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vector_platform.local.pinecone_server.data.filters import (
    MAX_DEPTH,
    mask,
    matches,
    parse_filter,
)
from vector_platform.local.pinecone_server.data.memory.column import Column
from vector_platform.local.pinecone_server.errors import RequestRefusedError

FIELDS = ("a", "b", "c")
numbers = st.sampled_from([0.0, 1.0, -1.0, 2.5])
words = st.sampled_from(["", "x", "y", "zebra"])
scalars = st.one_of(numbers, words, st.booleans())
values = st.one_of(scalars, st.lists(words, max_size=3))
records = st.dictionaries(st.sampled_from(FIELDS), values, max_size=3)


def leaves() -> st.SearchStrategy[dict[str, Any]]:
    operations = st.one_of(
        st.tuples(st.sampled_from(["$eq", "$ne"]), scalars),
        st.tuples(st.sampled_from(["$in", "$nin"]), st.lists(scalars, max_size=3)),
        st.tuples(st.sampled_from(["$gt", "$gte", "$lt", "$lte"]), numbers),
        st.tuples(st.just("$exists"), st.booleans()),
    )
    body = st.one_of(
        scalars,
        st.lists(operations, min_size=1, max_size=2).map(dict),
        operations.map(lambda pair: {"$not": dict([pair])}),
    )
    return st.dictionaries(st.sampled_from(FIELDS), body, min_size=1, max_size=2)


def nodes(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    several = st.lists(inner, min_size=1, max_size=3)
    return st.one_of(
        several.map(lambda parts: {"$and": parts}),
        several.map(lambda parts: {"$or": parts}),
        inner.map(lambda part: {"$not": part}),
    )


filters = st.recursive(leaves(), nodes, max_leaves=6)


def same(stored: Any, wanted: Any) -> bool:
    if isinstance(stored, bool) or isinstance(wanted, bool):
        return stored is wanted
    return type(stored) is type(wanted) and stored == wanted


def naive_leaf(record: dict[str, Any], field: str, operator: str, argument: Any) -> bool:
    present = field in record
    stored = record.get(field)
    held = stored if isinstance(stored, list) else [stored] if present else []
    if operator == "$eq":
        return any(same(item, argument) for item in held)
    if operator == "$ne":
        return not any(same(item, argument) for item in held)
    if operator == "$in":
        return any(same(item, wanted) for item in held for wanted in argument)
    if operator == "$nin":
        return not any(same(item, wanted) for item in held for wanted in argument)
    if operator == "$exists":
        return present == argument
    if operator == "$not":
        return not all(naive_leaf(record, field, name, arg) for name, arg in argument.items())
    if not present or type(stored) is not float:
        return False
    return {
        "$gt": stored > argument,
        "$gte": stored >= argument,
        "$lt": stored < argument,
        "$lte": stored <= argument,
    }[operator]


def naive(record: dict[str, Any], condition: dict[str, Any]) -> bool:
    for key, value in condition.items():
        if key == "$and":
            passed = all(naive(record, part) for part in value)
        elif key == "$or":
            passed = any(naive(record, part) for part in value)
        elif key == "$not":
            passed = not naive(record, value)
        elif isinstance(value, dict):
            passed = all(naive_leaf(record, key, name, arg) for name, arg in value.items())
        else:
            passed = naive_leaf(record, key, "$eq", value)
        if not passed:
            return False
    return True


@given(condition=filters, rows=st.lists(records, max_size=8))
def test_a_filter_agrees_with_a_naive_evaluator_on_records_and_on_columns(
    condition: dict[str, Any], rows: list[dict[str, Any]]
) -> None:
    expected = [naive(row, condition) for row in rows]
    parsed = parse_filter(condition)
    assert [matches(parsed, row) for row in rows] == expected
    by_column = mask(parsed, lambda field: Column(row.get(field) for row in rows), len(rows))
    assert by_column.dtype == np.bool_
    assert by_column.tolist() == expected


@pytest.mark.parametrize(
    ("condition", "complaint"),
    [
        ({}, "non-empty object"),
        ({"a": {}}, "at least one operator"),
        ({"a": {"$like": "x"}}, "$like is not a valid operator"),
        ({"$nor": [{"a": 1}]}, "top-level"),
        ({"a": {"$gt": "x"}}, "$gt operator must be followed by a number"),
        ({"a": {"$gt": True}}, "$gt operator must be followed by a number"),
        ({"a": {"$in": "x"}}, "$in operator must be followed by a list"),
        ({"a": {"$in": ["x"] * 10_001}}, "at most 10000"),
        ({"a": None}, "strings, numbers and booleans"),
        ({"$and": []}, "non-empty list"),
        ({"a": {"$exists": 1}}, "boolean"),
        ({"vector": {"$eq": 1}}, "data field 'vector'"),
        ({"a": {"$match_any": "x"}}, "'a' is not one"),
    ],
)
def test_a_wrong_filter_is_refused_by_operator_and_field(
    condition: dict[str, Any], complaint: str
) -> None:
    with pytest.raises(RequestRefusedError) as refused:
        parse_filter(condition, text_fields={"body"}, data_fields={"vector", "body"})
    assert refused.value.status == 400
    assert complaint in refused.value.message


def test_a_filter_nested_beyond_reason_is_refused_and_does_not_exhaust_the_stack() -> None:
    condition: dict[str, Any] = {"a": 1}
    for _ in range(MAX_DEPTH + 1):
        condition = {"$not": condition}
    with pytest.raises(RequestRefusedError, match="nested"):
        parse_filter(condition)


@pytest.mark.parametrize(
    ("operator", "argument", "expected"),
    [
        ("$match_all", "Vector index", True),
        ("$match_all", "vector missing", False),
        ("$match_any", "missing vector", True),
        ("$match_phrase", "an index of", True),
        ("$match_phrase", "index an", False),
    ],
)
def test_text_match_compares_words(operator: str, argument: str, expected: bool) -> None:
    parsed = parse_filter(
        {"body": {operator: argument}}, text_fields={"body"}, data_fields={"body"}
    )
    assert matches(parsed, {"body": "An INDEX of vector data"}) is expected
    assert matches(parsed, {}) is False


@given(updates=st.lists(st.tuples(st.integers(0, 5), st.one_of(st.none(), values))))
def test_a_column_holds_the_last_value_of_every_slot(updates: list[tuple[int, Any]]) -> None:
    column = Column()
    expected = [None] * 6
    for slot, value in updates:
        column.set(slot, value)
        expected[slot] = value
    for wanted in expected:
        passing = column.passing(lambda held, wanted=wanted: repr(held) == repr(wanted), 6)
        assert passing.tolist() == [repr(held) == repr(wanted) for held in expected]


def test_a_column_forgets_values_that_no_record_holds_any_more() -> None:
    column, judged = Column(), []
    for n in range(10_000):
        column.set(2, float(n))
        if n == 500:
            column.set(0, "kept")
    passing = column.passing(lambda value: judged.append(value) or value is not None, 3)
    assert passing.tolist() == [True, False, True]
    assert len(judged) < 1100
    assert column.passing(lambda value: value == "kept", 3).tolist() == [True, False, False]
    assert column.passing(lambda value: value == 9999.0, 3).tolist() == [False, False, True]
