"""Filters of Milvus: the one place where a value becomes part of an expression.

Belongs here: the `Filter` that every request takes instead of text, and how an id or a tenant is
written so that nothing in it can end it or mean anything else.

Milvus has no other way to say which rows are meant: its client makes an unescaped expression of
ids that it is given, and neither Milvus Lite 3.2 nor server 2.3 knows filter templates (both refuse
them). Both parsers read the literals made here back as they were:
quotes, backslashes, every control character, every plane (`hostile_values.py` holds them to it).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final, Literal

from vector_platform.indexes.contract import IndexRejected
from vector_platform.indexes.filtering.conditions import (
    OPPOSITE,
    Compared,
    Condition,
    Exists,
    Order,
    Test,
    Value,
    folded,
)
from vector_platform.lake.rules import is_unicode

Field = Literal["id", "tenant"]

# A line break would end a literal, and a server may not take a tab.
_ESCAPES: Final = str.maketrans(
    {"\\": "\\\\", '"': '\\"', "\n": "\\n", "\r": "\\r", "\t": "\\t"},
)


_SIGNS: Final[dict[Order, str]] = {"gt": ">", "gte": ">=", "lt": "<", "lte": "<="}


@dataclass(frozen=True)
class Filter:
    """A condition on rows. Made by the functions of this module alone, never from a text.

    Attributes:
        text: The expression that Milvus reads; empty for all rows.
    """

    text: str

    def __and__(self, other: Filter) -> Filter:
        """Rows that meet both."""
        both = [f"({part.text})" for part in (self, other) if part.text]
        return Filter(" and ".join(both))


#: No condition at all: for counts and searches, where a condition that all meet costs a look at
#: each row. A query has to have one.
UNFILTERED: Final = Filter("")
#: A condition that every row meets: no id is empty.
EVERY_ROW: Final = Filter('id != ""')


def of_tenant(tenant: str) -> Filter:
    """Rows of one tenant: what a search of it asks, and what proves that it finds them."""
    return Filter(f"tenant == {_literal(tenant)}")


def among(field: Field, values: Iterable[str], *, negated: bool = False) -> Filter:
    """Rows whose field is (not) one of the values."""
    listed = ", ".join(_literal(value) for value in values)
    return Filter(f"{field} {'not in' if negated else 'in'} [{listed}]")


def meeting(condition: Condition, *, negates_ranges: bool) -> Filter:
    """Rows that meet a condition on attributes, and maybe some more, but none of them left out.

    Two servers, two logics: to Milvus Lite a comparison with what is not there, or not a number,
    is unknown, and so is its `not`; and it takes `true` for `1` and a text like `["a"]` for a
    list. What is said here holds a row of either server that meets the condition.

    Args:
        condition: Which rows.
        negates_ranges: Whether `not (x > 1)` holds for a row whose `x` is no number. Where it does
            not, every row is looked at for a range that should not hold.
    """
    said = folded(
        condition,
        test=partial(_said, negates_ranges=negates_ranges),
        every=partial(_joined, "and"),
        some=partial(_joined, "or"),
    )
    return Filter(said)


def after(row_id: str) -> Filter:
    """Rows whose id comes after this one, in the order of their bytes."""
    return Filter(f"id > {_literal(row_id)}")


def _said(test: Test, wanted: bool, *, negates_ranges: bool) -> str:
    """A test of one attribute that should hold, or should not."""
    place = f"attributes[{_literal(test.key)}]"
    absent = f"not (exists {place})"
    if isinstance(test, Exists):
        return f"exists {place}" if wanted else absent
    if isinstance(test, Compared):
        if wanted:
            return _ordered(place, test.order, test.number)
        if not negates_ranges:
            return EVERY_ROW.text
        beyond = _ordered(place, OPPOSITE[test.order], test.number)
        within = _ordered(place, test.order, test.number)
        return _joined("or", [absent, beyond, f"not ({within})"])
    if wanted:
        return _joined("or", [_equal(place, value) for value in test.values])
    others = _joined("and", [_unequal(place, value) for value in test.values])
    return _joined("or", [absent, others])


def _equal(place: str, value: Value) -> str:
    if isinstance(value, str):
        text = _literal(value)
        return f"({place} == {text}) or json_contains({place}, {text})"
    return f"{place} == {_number(value)}"


def _unequal(place: str, value: Value) -> str:
    if isinstance(value, str):
        text = _literal(value)
        listed = f'json_contains({place}, {text}) and not ({place} like "%")'
        return f"not ({place} == {text}) and not ({listed})"
    other = f"not ({place} == {_number(value)})"
    # `true` and `1` are one to Milvus Lite, and `false` and `0`.
    if value in (0, 1):
        twin = int(value) if isinstance(value, bool) else bool(value)
        return f"({other}) or ({place} == {_number(twin)})"
    return other


def _ordered(place: str, order: Order, number: int | float) -> str:
    return f"{place} {_SIGNS[order]} {_number(number)}"


def _number(value: bool | int | float) -> str:
    """A number or a boolean as a literal."""
    return str(value).lower() if isinstance(value, bool) else repr(value)


def _joined(word: Literal["and", "or"], parts: Sequence[str]) -> str:
    """Parts joined in pairs of pairs, since a server reads no more than so many levels."""
    if len(parts) == 1:
        return parts[0]
    half = len(parts) // 2
    return f"({_joined(word, parts[:half])}) {word} ({_joined(word, parts[half:])})"


def _literal(text: str) -> str:
    """A string literal; nothing in the text can end it.

    Raises:
        IndexRejected: The text is no Unicode (a lone surrogate, from bytes that are not UTF-8).
    """
    if not is_unicode(text):
        raise IndexRejected(f"{text!r:.80} is not Unicode text, so no row can have it")
    return f'"{text.translate(_ESCAPES)}"'
