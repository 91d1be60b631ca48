"""One metadata field of a namespace as a column of codes, so that a filter judges values once.

Belongs here: dictionary encoding by slot.

A field usually has far fewer distinct values than records (30 tenants in a million records): a
test runs on the distinct values in Python and reaches the records in numpy.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

Mask = np.ndarray[Any, np.dtype[np.bool_]]

_ABSENT = 0
#: Distinct values no record holds any more are dropped when they outnumber the records by this.
_SLACK_VALUES = 1024


class Column:
    """A field's value by slot; None where a record lacks the field.

    Args:
        values: The values of slots 0, 1, 2 and so on.
    """

    def __init__(self, values: Iterable[Any] = ()) -> None:
        self._codes = np.zeros(64, np.int32)
        self._rows = 0
        self._values: list[Any] = [None]
        self._code_of: dict[Any, int] = {}
        for slot, value in enumerate(values):
            self.set(slot, value)

    def set(self, slot: int, value: Any) -> None:
        """Set the value of a slot; slots never set before it hold None."""
        if slot >= len(self._codes):
            grown = np.zeros(max(2 * len(self._codes), slot + 1), np.int32)
            grown[: len(self._codes)] = self._codes
            self._codes = grown
        self._rows = max(self._rows, slot + 1)
        if len(self._values) > 2 * self._rows + _SLACK_VALUES:
            self._drop_unused()
        self._codes[slot] = self._code(value)

    def passing(self, test: Callable[[Any], bool], rows: int) -> Mask:
        """Say which of the first `rows` slots hold a value that passes; shape `(rows,)`."""
        passed = np.fromiter(map(test, self._values), np.bool_, len(self._values))
        if rows > len(self._codes):
            self.set(rows - 1, None)
        return np.asarray(passed[self._codes[:rows]])

    def _code(self, value: Any) -> int:
        if value is None:
            return _ABSENT
        # The type keeps true and 1.0 apart; a list is hashed as a tuple.
        key = (type(value), tuple(value) if isinstance(value, list) else value)
        code = self._code_of.setdefault(key, len(self._values))
        if code == len(self._values):
            self._values.append(value)
        return code

    def _drop_unused(self) -> None:
        held = [self._values[code] for code in self._codes[: self._rows].tolist()]
        self._values, self._code_of = [None], {}
        for slot, value in enumerate(held):
            self._codes[slot] = self._code(value)
