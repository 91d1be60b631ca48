"""Filters of Milvus: the one place where a value becomes part of an expression.

Belongs here: the `Filter` that every request takes instead of text, and how an id or a tenant is
written so that nothing in it can end it or mean anything else.

Milvus has no other way to say which rows are meant: its client makes an unescaped expression of
ids that it is given, and neither Milvus Lite 3.2 nor server 2.3 knows filter templates (both refuse
them). Both parsers read the literals made here back as they were:
quotes, backslashes, every control character, every plane (`hostile_values.py` holds them to it).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Literal

from vector_platform.indexes.contract import IndexRejected

Field = Literal["id", "tenant"]

# A line break would end a literal, and a server may not take a tab.
_ESCAPES: Final = str.maketrans(
    {"\\": "\\\\", '"': '\\"', "\n": "\\n", "\r": "\\r", "\t": "\\t"},
)


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


def after(row_id: str) -> Filter:
    """Rows whose id comes after this one, in the order of their bytes."""
    return Filter(f"id > {_literal(row_id)}")


def _literal(text: str) -> str:
    """A string literal; nothing in the text can end it.

    Raises:
        IndexRejected: The text is no Unicode (a lone surrogate, from bytes that are not UTF-8).
    """
    try:
        text.encode()
    except UnicodeEncodeError:
        raise IndexRejected(f"{text!r:.80} is not Unicode text, so no row can have it") from None
    return f'"{text.translate(_ESCAPES)}"'
