"""What a condition means, asked of plain attributes."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given

from vector_platform.indexes.filtering.conditions import (
    AllOf,
    AnyOf,
    Compared,
    Condition,
    Exists,
    Not,
    OneOf,
    folded,
    matches,
)
from vector_platform_tests.indexes.filtering.drawn import ATTRIBUTES, CONDITIONS

ROW = {"n": 5, "half": 5.5, "one": 1, "yes": True, "text": "a", "list": ["a", "b"], "none": []}


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        (OneOf("n", (5.0,)), True),
        (OneOf("n", ("5",)), False),
        (OneOf("n", (4, 5)), True),
        (OneOf("one", (True,)), False),
        (OneOf("yes", (1,)), False),
        (OneOf("yes", (True,)), True),
        (OneOf("text", ("a",)), True),
        (OneOf("text", ("A",)), False),
        (OneOf("list", ("b",)), True),
        (OneOf("list", (1,)), False),
        (OneOf("absent", ("a",)), False),
        (Not(OneOf("absent", ("a",))), True),
        (Not(OneOf("list", ("b", "c"))), False),
        (Compared("n", "gte", 5), True),
        (Compared("n", "gt", 5), False),
        (Compared("half", "lt", 5.6), True),
        (Compared("yes", "gte", 0), False),
        (Compared("text", "gt", 0), False),
        (Not(Compared("text", "gt", 0)), True),
        (Not(Compared("absent", "lte", 0)), True),
        (Exists("none"), True),
        (Exists("absent"), False),
        (AllOf((Exists("n"), Not(Exists("n")))), False),
        (AnyOf((Exists("n"), Not(Exists("n")))), True),
    ],
)
def test_a_condition_holds_or_does_not(condition: Condition, expected: bool) -> None:
    assert matches(condition, ROW) is expected


@given(CONDITIONS, ATTRIBUTES)
def test_not_turns_every_answer_around(condition: Condition, attributes: dict[str, Any]) -> None:
    assert matches(Not(condition), attributes) is not matches(condition, attributes)


@given(CONDITIONS, ATTRIBUTES)
def test_what_is_not_wanted_of_a_condition_is_said_without_a_not(
    condition: Condition, attributes: dict[str, Any]
) -> None:
    """The fold that backends use means the same as the condition, both ways."""
    for wanted in (True, False):
        said: bool = folded(
            condition,
            test=lambda test, hold: matches(test, attributes) is hold,
            every=all,
            some=any,
            wanted=wanted,
        )
        assert said is (_plainly(condition, attributes) is wanted)


def _plainly(condition: Condition, attributes: dict[str, Any]) -> bool:
    if isinstance(condition, Not):
        return not _plainly(condition.part, attributes)
    if isinstance(condition, AllOf):
        return all(_plainly(part, attributes) for part in condition.parts)
    if isinstance(condition, AnyOf):
        return any(_plainly(part, attributes) for part in condition.parts)
    return matches(condition, attributes)
