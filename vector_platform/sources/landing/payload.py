"""A source's values as JSON, so that what landed can be compared and replayed.

Belongs here: which Python values have a lossless JSON form.
"""

from __future__ import annotations

import math
from collections.abc import Collection
from datetime import date, datetime, time
from decimal import Decimal
from typing import Any
from uuid import UUID

from vector_platform.lake.contract import MAX_EXACT_INT, as_utc
from vector_platform.lake.rules import is_unicode

# Deeper than anybody means, and far from where parsers give up.
_MOST_NESTED = 100
_MOST_BITS = 3300


class NotJson(ValueError):
    """A value that has no JSON form. The message says which and why."""


def jsonable(values: dict[str, Any], *, as_text: Collection[str] = ()) -> dict[str, Any]:
    """A row's columns as JSON values.

    Dates and times become ISO 8601 text (times without a zone are taken as UTC), UUIDs become
    text, NaN becomes null. A decimal becomes the number with the same digits, where there is one,
    else text of its digits.

    Args:
        values: Column -> value.
        as_text: Columns whose numbers, truths and decimals become text of the same digits.

    Raises:
        NotJson: A value cannot be represented: bytes, infinity, text that is not Unicode, ...
    """
    converted: dict[str, Any] = {}
    for column, value in values.items():
        try:
            converted[_name(column)] = _convert(_text(value) if column in as_text else value)
        except NotJson as error:
            raise NotJson(f"column {column!r} {error}") from None
    return converted


def _text(value: Any) -> Any:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, (int, float, Decimal)) and math.isfinite(value):
        return str(value)
    return value


def _convert(value: Any, depth: int = 0) -> Any:
    if depth > _MOST_NESTED:
        raise NotJson(f"is nested more than {_MOST_NESTED} deep")
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int):
        if value.bit_length() > _MOST_BITS:
            raise NotJson("holds an integer of more than 1,000 digits")
        return value
    if isinstance(value, str):
        if not is_unicode(value):
            raise NotJson("holds text that is not valid Unicode")
        return value
    if isinstance(value, float):
        if math.isinf(value):
            raise NotJson(f"holds {value}, which JSON has no number for")
        return None if math.isnan(value) else value
    if isinstance(value, datetime):
        return as_utc(value).isoformat()
    if isinstance(value, (date, time)):
        return value.isoformat()
    if isinstance(value, Decimal):
        return _decimal(value)
    if isinstance(value, UUID):
        return str(value)
    if isinstance(value, dict):
        return {_name(name): _convert(item, depth + 1) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_convert(item, depth + 1) for item in value]
    raise NotJson(f"holds {type(value).__name__}, which has no JSON form")


def _decimal(value: Decimal) -> int | float | str | None:
    if value.is_nan():
        return None
    if value.is_infinite():
        raise NotJson(f"holds {value}, which JSON has no number for")
    if value == value.to_integral_value() and value.as_tuple().exponent >= 0:  # type: ignore[operator]
        return int(value) if abs(value) <= MAX_EXACT_INT else str(value)
    number = float(value)
    return number if Decimal(repr(number)) == value else str(value)


def _name(name: Any) -> str:
    text = str(name)
    if not is_unicode(text):
        raise NotJson("has a name that is not valid Unicode")
    return text
