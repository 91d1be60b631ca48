"""Exact answers from a backend that can narrow a search only in part.

Belongs here: the second look at every hit. A backend is told the condition as far as its own
language can say it, and may find rows that do not meet it; it must never leave out one that does.
"""

from __future__ import annotations

from collections.abc import Callable

from vector_platform.indexes.contract import BoundedHits, Hit
from vector_platform.indexes.filtering.conditions import Condition, matches

_MORE = 4


def narrowed(
    search: Callable[[int], list[Hit]], where: Condition | None, *, k: int, most: int
) -> list[Hit]:
    """The k best hits that meet a condition.

    Every hit is looked at once more. Where some do not meet the condition, more are asked for, up
    to what the backend gives in one answer; an answer that is short then is `BoundedHits`.

    Args:
        search: The so many best hits, best first, none left out that meets the condition.
        where: The condition; None for every row.
        k: Hits at most.
        most: Hits that the backend gives at most.
    """
    if where is None:
        return search(k)
    asked = min(k, most)
    while True:
        found = search(asked)
        good = [hit for hit in found if matches(where, hit.attributes)][:k]
        if len(good) == k or len(found) < asked:
            return good
        if asked == most:
            return BoundedHits(good, looked_at=asked)
        asked = min(asked * _MORE, most)
