"""The filter language: OpenAI's shape of comparisons and groups, with `not` and `exists` beside.

Belongs here: reading a condition from JSON, its limits, and refusals that name the place. What a
condition means is said in `conditions.py`.

    {"type": "and", "filters": [
        {"type": "in", "key": "severity", "value": ["high", "critical"]},
        {"type": "gte", "key": "score", "value": 7},
        {"type": "not", "filter": {"type": "exists", "key": "withdrawn"}}]}
"""

from __future__ import annotations

import difflib
import json
import math
from collections.abc import Collection, Mapping
from typing import Any, Final

from vector_platform.errors import TerminalError
from vector_platform.indexes.filtering.conditions import (
    ORDERS,
    AllOf,
    AnyOf,
    Compared,
    Condition,
    Exists,
    Not,
    OneOf,
    Value,
)
from vector_platform.lake.rules import attribute_problem, is_unicode

# Groups inside groups; what a person or a program means is never deeper.
MAX_DEPTH: Final = 8
# Comparisons of one filter, values of one `in`, and characters of all values together: a backend
# parses them all for every question.
MAX_TESTS: Final = 100
MAX_VALUES: Final = 500
MAX_CHARACTERS: Final = 100_000

_FIELDS: Final[Mapping[str, frozenset[str]]] = {
    **dict.fromkeys(("eq", "ne", "in", "nin", *ORDERS), frozenset({"type", "key", "value"})),
    **dict.fromkeys(("and", "or"), frozenset({"type", "filters"})),
    "not": frozenset({"type", "filter"}),
    "exists": frozenset({"type", "key"}),
}


class BadFilter(TerminalError):
    """A filter that means nothing.

    Attributes:
        at: Where in it, as `filters[2].value`; `filter` for the whole.
    """

    def __init__(self, at: str, problem: str) -> None:
        self.at = at
        super().__init__(f"{at}: {problem}")


def parse_filter(text: str, *, keys: Collection[str]) -> Condition:
    """The condition that a filter asks for, from the text of its JSON (see `read_filter`)."""
    try:
        raw = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise BadFilter("filter", f"is no JSON ({str(error)[:80]})") from None
    return read_filter(raw, keys=keys)


def read_filter(raw: Any, *, keys: Collection[str]) -> Condition:
    """The condition that a filter asks for.

    Args:
        raw: The filter, as JSON gives it.
        keys: Attributes that rows can have.

    Raises:
        BadFilter: A field, a type, a key or a value is none; or the filter is too large.
    """
    return _Reader(keys).condition(raw, "filter", 1)


class _Reader:
    def __init__(self, keys: Collection[str]) -> None:
        self._keys = keys
        self._tests = 0
        self._characters = 0

    def condition(self, raw: Any, at: str, depth: int) -> Condition:
        if not isinstance(raw, Mapping):
            raise BadFilter(at, "a filter is a JSON object with a `type`")
        if depth > MAX_DEPTH:
            raise BadFilter(at, f"a filter has at most {MAX_DEPTH} levels")
        kind = raw.get("type")
        if not isinstance(kind, str) or kind not in _FIELDS:
            raise BadFilter(f"{at}.type", f"is one of {', '.join(sorted(_FIELDS))}")
        if missing := sorted(_FIELDS[kind] - raw.keys()):
            raise BadFilter(at, f"`{kind}` needs `{missing[0]}`")
        if unknown := sorted(map(str, raw.keys() - _FIELDS[kind])):
            raise BadFilter(f"{at}.{unknown[0]:.40}", f"`{kind}` has no such field")
        if kind in ("and", "or"):
            return self._group(kind, raw["filters"], f"{at}.filters", depth)
        if kind == "not":
            return Not(self.condition(raw["filter"], f"{at}.filter", depth + 1))
        return self._test(kind, raw, at)

    def _group(self, kind: str, raw: Any, at: str, depth: int) -> Condition:
        if not isinstance(raw, list) or not raw:
            raise BadFilter(at, "is a list of at least one filter")
        if len(raw) > MAX_TESTS:
            raise BadFilter(at, f"a filter has at most {MAX_TESTS} comparisons")
        parts = tuple(
            self.condition(part, f"{at}[{place}]", depth + 1) for place, part in enumerate(raw)
        )
        return AllOf(parts) if kind == "and" else AnyOf(parts)

    def _test(self, kind: str, raw: Mapping[str, Any], at: str) -> Condition:
        self._tests += 1
        if self._tests > MAX_TESTS:
            raise BadFilter(at, f"a filter has at most {MAX_TESTS} comparisons")
        key = self._key(raw["key"], f"{at}.key")
        if kind == "exists":
            return Exists(key)
        at, value = f"{at}.value", raw["value"]
        if kind in ("in", "nin"):
            if not isinstance(value, list) or not value:
                raise BadFilter(at, "is a list of at least one value")
            if len(value) > MAX_VALUES:
                raise BadFilter(at, f"has {len(value)} values, at most {MAX_VALUES} can be asked")
            found = OneOf(
                key, tuple(self._value(one, f"{at}[{place}]") for place, one in enumerate(value))
            )
        elif kind in ("eq", "ne"):
            found = OneOf(key, (self._value(value, at),))
        else:
            [order] = [order for order in ORDERS if order == kind]
            return Compared(key, order, _number(value, at))
        return Not(found) if kind in ("ne", "nin") else found

    def _value(self, raw: Any, at: str) -> Value:
        value = _value(raw, at)
        self._characters += len(str(value))
        if self._characters > MAX_CHARACTERS:
            raise BadFilter(at, f"the values of a filter have at most {MAX_CHARACTERS} characters")
        return value

    def _key(self, raw: Any, at: str) -> str:
        if isinstance(raw, str) and raw in self._keys:
            return raw
        if not self._keys:
            raise BadFilter(at, "no row has an attribute; a source's `attributes` makes some")
        near = difflib.get_close_matches(str(raw)[:100], self._keys, n=1)
        known = f"did you mean {near[0]!r}?" if near else f"there are {_listed(self._keys)}"
        raise BadFilter(at, f"{str(raw)[:60]!r} is no attribute; {known}")


def _value(raw: Any, at: str) -> Value:
    if not isinstance(raw, str | bool | int | float):
        raise BadFilter(at, "is a string, a number or a boolean")
    if problem := attribute_problem(raw):
        raise BadFilter(at, problem)
    if isinstance(raw, str) and not is_unicode(raw):
        raise BadFilter(at, "is not Unicode text, so no row can have it")
    return raw


def _number(raw: Any, at: str) -> int | float:
    if isinstance(raw, bool) or not isinstance(raw, int | float):
        raise BadFilter(
            at, "is a number: only numbers are compared, so map a date to a number (a year, a day)"
        )
    # An integer has no end in JSON, and every one is finite.
    if isinstance(raw, float) and not math.isfinite(raw):
        raise BadFilter(at, f"{raw} is not a finite number")
    if problem := attribute_problem(raw):
        raise BadFilter(at, problem)
    number: int | float = raw
    return number


def _listed(keys: Collection[str], most: int = 10) -> str:
    shown = ", ".join(repr(key) for key in sorted(keys)[:most])
    return shown if len(keys) <= most else f"{shown} and {len(keys) - most} more"
