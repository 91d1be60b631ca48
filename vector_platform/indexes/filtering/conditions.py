"""What a condition is, and what it means: the plain Python that every backend has to agree with.

Belongs here: the values that conditions are made of, and the two ways to look at one: asked of a
row's attributes (`matches`), and folded into the terms of a backend (`folded`).

A condition is true or false of a row, never unknown:

* A string equals an attribute that is this string, or a list that holds it. A number equals a
  number of the same value; a boolean equals only a boolean, so `true` is not `1`.
* `<`, `<=`, `>`, `>=` hold for numbers alone.
* An attribute that a row does not have equals nothing, compares with nothing, and does not exist.
* `not` turns every answer around: `not (price > 5)` holds for a row without a price, too.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal, TypeVar

Value = str | bool | int | float
Order = Literal["gt", "gte", "lt", "lte"]
Term = TypeVar("Term")

ORDERS: Final[Mapping[Order, Callable[[Any, Any], bool]]] = {
    "gt": operator.gt,
    "gte": operator.ge,
    "lt": operator.lt,
    "lte": operator.le,
}
OPPOSITE: Final[Mapping[Order, Order]] = {"gt": "lte", "gte": "lt", "lt": "gte", "lte": "gt"}


@dataclass(frozen=True)
class OneOf:
    """An attribute equals one of the values."""

    key: str
    values: tuple[Value, ...]


@dataclass(frozen=True)
class Compared:
    """An attribute is a number on one side of another."""

    key: str
    order: Order
    number: int | float


@dataclass(frozen=True)
class Exists:
    """A row has the attribute."""

    key: str


@dataclass(frozen=True)
class AllOf:
    """Every part holds."""

    parts: tuple[Condition, ...]


@dataclass(frozen=True)
class AnyOf:
    """At least one part holds."""

    parts: tuple[Condition, ...]


@dataclass(frozen=True)
class Not:
    """The part does not hold."""

    part: Condition


Test = OneOf | Compared | Exists
Condition = Test | AllOf | AnyOf | Not


def matches(condition: Condition, attributes: Mapping[str, Any]) -> bool:
    """Whether a row with these attributes meets the condition."""
    return folded(
        condition, test=lambda one, wanted: _holds(one, attributes) is wanted, every=all, some=any
    )


def folded(
    condition: Condition,
    *,
    test: Callable[[Test, bool], Term],
    every: Callable[[Sequence[Term]], Term],
    some: Callable[[Sequence[Term]], Term],
    wanted: bool = True,
) -> Term:
    """A condition in the terms of somebody who knows no `not`.

    What is not wanted of a group is wanted of its parts (De Morgan), so only tests are turned
    around.

    Args:
        condition: What to say.
        test: Says one test that should hold, or, for False, that should not.
        every: Joins terms that all have to hold.
        some: Joins terms of which one has to hold.
        wanted: False for rows that do not meet the condition.
    """
    if isinstance(condition, Not):
        return folded(condition.part, test=test, every=every, some=some, wanted=not wanted)
    if isinstance(condition, AllOf | AnyOf):
        join = every if isinstance(condition, AllOf) is wanted else some
        return join(
            [
                folded(part, test=test, every=every, some=some, wanted=wanted)
                for part in condition.parts
            ]
        )
    return test(condition, wanted)


def _holds(test: Test, attributes: Mapping[str, Any]) -> bool:
    value = attributes.get(test.key)
    if value is None:
        return False
    if isinstance(test, OneOf):
        return any(_equal(value, wanted) for wanted in test.values)
    if isinstance(test, Compared):
        return _is_number(value) and ORDERS[test.order](value, test.number)
    return True


def _equal(value: Any, wanted: Value) -> bool:
    if isinstance(value, list):
        return isinstance(wanted, str) and wanted in value
    return isinstance(value, bool) is isinstance(wanted, bool) and bool(value == wanted)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
