"""Pinecone's metadata filter language: parsed once, then asked of one record or of columns.

Belongs here: grammar, operator meaning, limits of a filter. Meaning follows MongoDB, on which the
language is modelled: a list field matches when any element does, and `$ne`, `$nin` and `$not`
match records without the field. Values compare only with their own kind: `true` never equals `1`.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from ..errors import invalid
from .memory.column import Column, Mask

#: Most values `$in` and `$nin` take.
MAX_IN_VALUES = 10_000
#: Deepest nesting accepted; deeper filters are mistakes or attacks on the parser's stack.
MAX_DEPTH = 64

_TEXT_OPERATORS = ("$match_phrase", "$match_all", "$match_any")
_COMPARISONS: dict[str, Callable[[float, float], bool]] = {
    "$gt": operator.gt,
    "$gte": operator.ge,
    "$lt": operator.lt,
    "$lte": operator.le,
}
_WORD = re.compile(r"\w+")


def tokens(text: str) -> list[str]:
    """Split text into lower-case words, the unit of full-text search."""
    return _WORD.findall(text.lower())


@dataclass(frozen=True)
class Leaf:
    """A test of one field; the test receives None when the record lacks it."""

    field: str
    test: Callable[[Any], bool]


@dataclass(frozen=True)
class Group:
    """Filters joined by and, or; `not` holds exactly one."""

    joint: Literal["and", "or", "not"]
    parts: tuple[Leaf | Group, ...]


Filter = Leaf | Group


def matches(node: Filter, fields: dict[str, Any]) -> bool:
    """Say whether one record's fields pass."""
    if isinstance(node, Leaf):
        return node.test(fields.get(node.field))
    results = (matches(part, fields) for part in node.parts)
    if node.joint == "and":
        return all(results)
    if node.joint == "or":
        return any(results)
    return not next(results)


def mask(node: Filter, column: Callable[[str], Column], rows: int) -> Mask:
    """Evaluate a filter over columns of values.

    Args:
        node: The parsed filter.
        column: Gives a field's values.
        rows: How many rows to judge.

    Returns:
        Shape `(rows,)`, True where the row passes.
    """
    if isinstance(node, Leaf):
        return column(node.field).passing(node.test, rows)
    parts = [mask(part, column, rows) for part in node.parts]
    if node.joint == "not":
        return ~parts[0]
    join = np.logical_and if node.joint == "and" else np.logical_or
    return np.asarray(join.reduce(parts), np.bool_)


def parse_filter(
    raw: Any,
    *,
    text_fields: Collection[str] = (),
    data_fields: Collection[str] = (),
    allow_text: bool = True,
) -> Filter:
    """Parse a filter of a request.

    Args:
        raw: The JSON object.
        text_fields: Full-text fields, which take the text-match operators.
        data_fields: Fields that are searched and take no comparison.
        allow_text: False for deletes and updates, where text-match is refused.

    Raises:
        RequestRefusedError: 400 that names the operator or field.
    """
    return _Parser(text_fields, data_fields, allow_text).group(raw, 0)


@dataclass(frozen=True)
class _Parser:
    text_fields: Collection[str]
    data_fields: Collection[str]
    allow_text: bool

    def group(self, raw: Any, depth: int) -> Filter:
        if not isinstance(raw, dict) or not raw:
            raise invalid("filter must be a non-empty object")
        if depth > MAX_DEPTH:
            raise invalid(f"filter is nested deeper than {MAX_DEPTH} levels")
        parts = tuple(part for key, value in raw.items() for part in self.entry(key, value, depth))
        return parts[0] if len(parts) == 1 else Group("and", parts)

    def entry(self, key: str, value: Any, depth: int) -> Iterator[Filter]:
        if key in ("$and", "$or"):
            if not isinstance(value, list) or not value:
                raise invalid(f"{key} must be followed by a non-empty list of filters")
            parts = tuple(self.group(item, depth + 1) for item in value)
            yield Group("and" if key == "$and" else "or", parts)
        elif key == "$not":
            yield Group("not", (self.group(value, depth + 1),))
        elif key.startswith("$"):
            raise invalid(f"{key} is not a valid top-level filter operator")
        elif not isinstance(value, dict):
            yield Leaf(key, self.test(key, "$eq", value))
        elif not value:
            raise invalid(f"field '{key}' must be followed by a value or at least one operator")
        else:
            for name, argument in value.items():
                if name == "$not":
                    yield Group("not", (self.group({key: argument}, depth + 1),))
                else:
                    yield Leaf(key, self.test(key, name, argument))

    def test(self, field: str, name: str, argument: Any) -> Callable[[Any], bool]:
        if name in _TEXT_OPERATORS:
            return self.text_test(field, name, argument)
        if field in self.data_fields:
            raise invalid(f"operator {name} cannot be used on data field '{field}'")
        if name == "$exists":
            if not isinstance(argument, bool):
                raise invalid("the $exists operator must be followed by a boolean")
            return lambda value: (value is not None) is argument
        if name in ("$eq", "$ne"):
            return _membership([argument], name, wanted=name == "$eq")
        if name in ("$in", "$nin"):
            if not isinstance(argument, list):
                raise invalid(f"the {name} operator must be followed by a list")
            if len(argument) > MAX_IN_VALUES:
                raise invalid(f"the {name} operator accepts at most {MAX_IN_VALUES} values")
            return _membership(argument, name, wanted=name == "$in")
        return _comparison(name, argument)

    def text_test(self, field: str, name: str, argument: Any) -> Callable[[Any], bool]:
        if not self.allow_text:
            raise invalid(f"text-match operator {name} is not supported in deletes and updates")
        if field not in self.text_fields:
            raise invalid(f"{name} needs a full-text string field; '{field}' is not one")
        if not isinstance(argument, str):
            raise invalid(f"the {name} operator must be followed by a string")
        wanted = tokens(argument)
        if name == "$match_any":
            return lambda value: value is not None and not set(wanted).isdisjoint(tokens(value))
        if name == "$match_all":
            return lambda value: value is not None and set(wanted).issubset(tokens(value))

        def has_phrase(value: Any) -> bool:
            words = tokens(value) if value is not None else []
            starts = range(len(words) - len(wanted) + 1)
            return any(words[i : i + len(wanted)] == wanted for i in starts)

        return has_phrase


def _key(value: Any) -> tuple[bool, Any]:
    """Tell `true` from `1`, which Python holds equal."""
    return isinstance(value, bool), value


def _membership(arguments: list[Any], name: str, *, wanted: bool) -> Callable[[Any], bool]:
    for argument in arguments:
        if not isinstance(argument, (str, int, float)):
            raise invalid(f"the {name} operator takes strings, numbers and booleans")
    keys = {_key(argument) for argument in arguments}

    def test(value: Any) -> bool:
        if isinstance(value, list):
            return any((False, item) in keys for item in value) is wanted
        return (value is not None and _key(value) in keys) is wanted

    return test


def _comparison(name: str, argument: Any) -> Callable[[Any], bool]:
    if name not in _COMPARISONS:
        raise invalid(f"{name} is not a valid operator")
    if isinstance(argument, bool) or not isinstance(argument, (int, float)):
        raise invalid(f"the {name} operator must be followed by a number")

    compare = _COMPARISONS[name]
    # A bool is a number to Python and not to Pinecone; stored numbers are always float.
    return lambda value: isinstance(value, float) and compare(value, argument)
