"""Filters from JSON: what they mean, and what is refused by its place."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vector_platform.indexes.filtering.conditions import AllOf, Compared, Exists, Not, OneOf
from vector_platform.indexes.filtering.language import (
    MAX_DEPTH,
    MAX_TESTS,
    MAX_VALUES,
    BadFilter,
    read_filter,
)

KEYS = ("severity", "score", "withdrawn", "tags")


def eq(key: Any = "severity", value: Any = "high") -> dict[str, Any]:
    return {"type": "eq", "key": key, "value": value}


def nested(depth: int) -> dict[str, Any]:
    filter_ = eq()
    for _ in range(depth - 1):
        filter_ = {"type": "not", "filter": filter_}
    return filter_


def test_a_filter_of_every_kind_is_read() -> None:
    read = read_filter(
        {
            "type": "and",
            "filters": [
                {"type": "in", "key": "severity", "value": ["high", "critical"]},
                {"type": "gte", "key": "score", "value": 7},
                {"type": "not", "filter": {"type": "exists", "key": "withdrawn"}},
                {"type": "ne", "key": "tags", "value": "draft"},
                {"type": "nin", "key": "score", "value": [1, 2]},
            ],
        },
        keys=KEYS,
    )
    assert read == AllOf(
        (
            OneOf("severity", ("high", "critical")),
            Compared("score", "gte", 7),
            Not(Exists("withdrawn")),
            Not(OneOf("tags", ("draft",))),
            Not(OneOf("score", (1, 2))),
        )
    )


@pytest.mark.parametrize(
    ("raw", "says"),
    [
        ("severity = 'high'", "filter: a filter is a JSON object"),
        ([], "filter: a filter is a JSON object"),
        ({}, "filter.type: is one of and, eq, exists"),
        ({"type": "like", "key": "tags", "value": "a"}, "filter.type: is one of"),
        ({"type": ["eq"]}, "filter.type: is one of"),
        ({"type": "eq", "key": "tags"}, "filter: `eq` needs `value`"),
        ({"type": "exists", "key": "tags", "value": 1}, "filter.value: `exists` has no such field"),
        (eq(key="severty"), "'severty' is no attribute; did you mean 'severity'?"),
        (eq(key="zzz"), "there are 'score', 'severity', 'tags', 'withdrawn'"),
        (eq(key=5), "'5' is no attribute"),
        (eq(value=None), "filter.value: is a string, a number or a boolean"),
        (eq(value={"$gt": ""}), "filter.value: is a string, a number or a boolean"),
        (eq(value="\ud800"), "filter.value: is not Unicode text"),
        (eq(value=2**53 + 1), "filter.value: integer 9007199254740993 is beyond 2^53"),
        (eq(value=float("nan")), "filter.value: nan is not a finite number"),
        ({"type": "gt", "key": "score", "value": "2024-01-01"}, "only numbers are compared"),
        ({"type": "gt", "key": "score", "value": True}, "only numbers are compared"),
        ({"type": "lt", "key": "score", "value": float("inf")}, "inf is not a finite number"),
        ({"type": "in", "key": "score", "value": []}, "filter.value: is a list of at least one"),
        ({"type": "in", "key": "score", "value": [1, None]}, "filter.value[1]: is a string"),
        ({"type": "and", "filters": []}, "filter.filters: is a list of at least one filter"),
        ({"type": "or", "filters": [eq(), {"type": "not"}]}, "filters[1]: `not` needs `filter`"),
        (nested(MAX_DEPTH + 1), f"has at most {MAX_DEPTH} levels"),
        (nested(1_000), f"has at most {MAX_DEPTH} levels"),
        ({"type": "or", "filters": [eq()] * (MAX_TESTS + 1)}, f"at most {MAX_TESTS} comparisons"),
        (
            {"type": "or", "filters": [{"type": "or", "filters": [eq()] * 60}] * 2},
            f"at most {MAX_TESTS} comparisons",
        ),
        ({"type": "in", "key": "tags", "value": ["a"] * (MAX_VALUES + 1)}, "can be asked"),
    ],
)
def test_a_filter_that_means_nothing_is_refused_by_its_place(raw: Any, says: str) -> None:
    with pytest.raises(BadFilter, match=re.escape(says)) as caught:
        read_filter(raw, keys=KEYS)
    assert "\n" not in str(caught.value)


def test_a_deployment_without_attributes_says_what_makes_some() -> None:
    with pytest.raises(BadFilter, match="no row has an attribute"):
        read_filter(eq(), keys=())


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["type", "key", "value", "filter", "filters"]) | st.text(max_size=4),
            inner | st.sampled_from(["eq", "in", "and", "or", "not", "gt", "exists", *KEYS]),
            max_size=4,
        )
    ),
    max_leaves=12,
)


@given(_JSON)
def test_any_json_is_a_condition_or_refused(raw: Any) -> None:
    try:
        read = read_filter(json.loads(json.dumps(raw)), keys=KEYS)
    except BadFilter:
        return
    assert read is not None
