"""What a test looks at one by one: some things, never none.

Belongs here: the guard against loops and `all(...)` that pass because there is nothing.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeVar

Item = TypeVar("Item")


def some(items: Iterable[Item]) -> list[Item]:
    """The same items. No item is a failure."""
    found = list(items)
    assert found, "there is nothing to look at, so nothing would be tested"
    return found
