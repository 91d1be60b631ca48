"""A source's values as JSON, so that what landed can be compared and replayed.

Belongs here: which Python values have a lossless JSON form.
"""

from __future__ import annotations

import math
from datetime import date, datetime, time
from decimal import Decimal
from typing import Any
from uuid import UUID

from vector_platform.lake.contract import as_utc


class NotJson(ValueError):
    """A value that has no JSON form. The message says which and why."""


def jsonable(values: dict[str, Any]) -> dict[str, Any]:
    """A row's columns as JSON values.

    Dates and times become ISO 8601 text (times without a zone are taken as UTC), decimals and
    UUIDs become text, NaN becomes null.

    Raises:
        NotJson: A value cannot be represented: bytes, infinity, text that is not Unicode, ...
    """
    converted: dict[str, Any] = {}
    for column, value in values.items():
        try:
            converted[_name(column)] = _convert(value)
        except NotJson as error:
            raise NotJson(f"column {column!r} {error}") from None
        except RecursionError:
            raise NotJson(f"column {column!r} is nested too deeply") from None
    return converted


def _convert(value: Any) -> Any:
    if value is None or isinstance(value, (bool, int)):
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
    if isinstance(value, (Decimal, UUID)):
        return str(value)
    if isinstance(value, dict):
        return {_name(name): _convert(item) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_convert(item) for item in value]
    raise NotJson(f"holds {type(value).__name__}, which has no JSON form")


def _name(name: Any) -> str:
    text = str(name)
    if not is_unicode(text):
        raise NotJson("has a name that is not valid Unicode")
    return text


def is_unicode(text: str) -> bool:
    """False for text with lone surrogates, which no UTF-8 can hold."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
