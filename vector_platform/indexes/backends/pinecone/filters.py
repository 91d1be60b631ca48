"""Conditions in Pinecone's filter language: JSON, so nothing in a value can mean anything else.

Belongs here: what Pinecone is told of a condition. It has a field for every attribute
(`names.attribute_field`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from vector_platform.indexes.backends.pinecone.names import attribute_field
from vector_platform.indexes.filtering.conditions import (
    Compared,
    Condition,
    Exists,
    OneOf,
    Test,
    folded,
)

Said = Mapping[str, Any]
#: A filter that every row passes.
EVERY_ROW: Final[Said] = {"digest": {"$exists": True}}


def document_filter(condition: Condition) -> Said:
    """Documents that meet a condition, and maybe some more, but none of them left out.

    Pinecone cannot ask whether a field holds a number, so every row is looked at for a range that
    should not hold. What `$ne` and `$nin` say of a document without the field is not relied on.
    """
    return folded(
        condition,
        test=_said,
        every=lambda parts: _joined("$and", parts),
        some=lambda parts: _joined("$or", parts),
    )


def _said(test: Test, wanted: bool) -> Said:
    field = attribute_field(test.key)
    if isinstance(test, Exists):
        return {field: {"$exists": wanted}}
    if isinstance(test, Compared):
        return {field: {f"${test.order}": test.number}} if wanted else EVERY_ROW
    if wanted:
        return _joined("$or", [{field: {"$in": values}} for values in _kinds(test)])
    others = _joined("$and", [{field: {"$nin": values}} for values in _kinds(test)])
    return _joined("$or", [{field: {"$exists": False}}, others])


def _kinds(test: OneOf) -> Iterator[list[Any]]:
    """The values of a test, those of a kind together: no list mixes them."""
    for kind in (str, bool, (int, float)):
        same = [
            value
            for value in test.values
            if isinstance(value, kind) and (kind is bool or not isinstance(value, bool))
        ]
        if same:
            yield same


def _joined(word: str, parts: Sequence[Said]) -> Said:
    return parts[0] if len(parts) == 1 else {word: list(parts)}
