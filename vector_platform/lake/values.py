"""Values of a document: what a text, a title, a flag and a time of a source's row mean.

Belongs here: the one definition of each. Landing checks rows with these functions, and staging
calls the same ones in SQL (`corpus/dbt_plugin.py`), so a row that landed is the document that was
checked. Identities are never changed; they are in `identities.py`.
"""

from __future__ import annotations

import re
import unicodedata
from datetime import UTC, date, datetime, time
from typing import Any

from vector_platform.lake.rules import canonical_json

# White space of Unicode, and the byte order mark, which files leave at the start of a text.
_EDGES = "\u2028\u2029\u202f\u205f\u3000\ufeff" + "".join(
    map(chr, [*range(9, 14), 32, 0x85, 0xA0, 0x1680, *range(0x2000, 0x200B)])
)
_LINE_SPACE = re.compile(r"[\t\n\f\r ]+")
# Categories of Unicode that leave no mark: white space, controls, formats. Not the unassigned: a
# newer Unicode may have drawn them.
_NO_MARK = frozenset({"Zs", "Zl", "Zp", "Cc", "Cf"})
# Letters, marks and symbols that are drawn as nothing.
_INVISIBLE = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0").union(
    map(chr, [*range(0x180B, 0x1810), *range(0xFE00, 0xFE10), *range(0xE0100, 0xE01F0)])
)

# What every reader of the lake can hold: pandas counts nanoseconds in 64 bits. Times beyond are no
# times: databases write the year 1 or 9999 where they know none.
YEARS = range(1678, 2262)

_TRUE = frozenset({"true", "t", "yes", "y", "1"})
_FALSE = frozenset({"false", "f", "no", "n", "0", ""})


def is_blank(text: str) -> bool:
    """Whether nothing of a text can be seen: white space, controls, invisible characters."""
    return all(unicodedata.category(char) in _NO_MARK or char in _INVISIBLE for char in text)


def clean_text(text: str) -> str:
    """A text as it is stored: NFC, Unix line ends, without NUL and without space at its edges.

    Empty when nothing of it can be seen.
    """
    composed = unicodedata.normalize("NFC", text.replace("\x00", "").replace("\r\n", "\n"))
    trimmed = composed.strip(_EDGES)
    return "" if is_blank(trimmed) else trimmed


def clean_line(text: str) -> str:
    """A title as it is stored: `clean_text` on one line."""
    return _LINE_SPACE.sub(" ", clean_text(text))


def text_of(value: Any) -> str | None:
    """A value of a row as text, cleaned: a string as it is, others as JSON, None for nothing."""
    if value is None:
        return None
    return clean_text(value if isinstance(value, str) else canonical_json(value))


def line_of(value: Any) -> str | None:
    """A value of a row as one line of text."""
    text = text_of(value)
    return None if text is None else _LINE_SPACE.sub(" ", text)


def truth_of(value: Any) -> bool | None:
    """What a value of a row says to yes or no: false when it says nothing, None when neither."""
    if value is None:
        return False
    text = str(value).strip().lower() if isinstance(value, (bool, int, str)) else None
    return True if text in _TRUE else False if text in _FALSE else None


def moment_of(value: Any) -> datetime | None:
    """The instant that a value names, in UTC; None when it is no ISO 8601 date or time of `YEARS`.

    A time without a zone is taken as UTC, a date as its first instant.
    """
    try:
        if isinstance(value, str):
            value = datetime.fromisoformat(value.strip())
        if isinstance(value, datetime):
            value = as_utc(value)
        elif isinstance(value, date):
            value = datetime.combine(value, time(), tzinfo=UTC)
        else:
            return None
    except (ValueError, OverflowError):
        return None
    return value if value.year in YEARS else None


def as_utc(moment: datetime) -> datetime:
    """The same instant in UTC; a time without a zone is taken as UTC."""
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
