"""Finding the rows a backend refuses, when it answers for a whole request.

Belongs here: cutting a refused request in halves until the rows at fault are alone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

from vector_platform.indexes.contract import IndexRejected

# When so many rows are refused, each for the same reason, it is not the rows.
_NOT_THE_ROWS: Final = 10


def write_or_refuse(
    write: Callable[[list[dict[str, Any]]], None],
    rows: list[dict[str, Any]],
    *,
    key: str,
    reason: Callable[[IndexRejected], str | None],
) -> dict[str, str]:
    """Write rows; those that are refused are found by bisection, and the others are written.

    A request with one bad row among n costs about 2 log2(n) more.

    Args:
        write: Sends one request.
        rows: What to send.
        key: Field that holds a row's id.
        reason: What a refusal says of a row, or None when no row can be the cause.

    Returns:
        Row id -> reason, of the refused.

    Raises:
        IndexRejected: No row can be the cause, or every row of many is refused alike.
    """
    if not rows:
        return {}  # a server may refuse an empty request, and there is nothing to halve
    refused = _write(write, rows, key, reason)
    if len(rows) >= _NOT_THE_ROWS and len(refused) == len(rows) and len(set(refused.values())) == 1:
        raise IndexRejected(f"all {len(rows)} rows of a write are refused: {refused[rows[0][key]]}")
    return refused


def _write(
    write: Callable[[list[dict[str, Any]]], None],
    rows: Sequence[dict[str, Any]],
    key: str,
    reason: Callable[[IndexRejected], str | None],
) -> dict[str, str]:
    try:
        write(list(rows))
    except IndexRejected as error:
        why = reason(error)
        if why is None:
            raise
        if len(rows) == 1:
            return {rows[0][key]: why}
        half = len(rows) // 2
        return _write(write, rows[:half], key, reason) | _write(write, rows[half:], key, reason)
    return {}
