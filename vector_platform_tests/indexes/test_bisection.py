"""Rows at fault are found, and nobody else's write is lost."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vector_platform.indexes.bisection import write_or_refuse
from vector_platform.indexes.contract import IndexRejected, IndexUnavailable


class Store:
    """Takes a request whole or not at all, like the backends."""

    def __init__(self, bad: set[int]) -> None:
        self.bad, self.held, self.requests = bad, set[int](), 0

    def write(self, rows: list[dict[str, Any]]) -> None:
        self.requests += 1
        wrong = [row["id"] for row in rows if row["id"] in self.bad]
        if wrong:
            raise IndexRejected(f"row {wrong[0]} is bad")
        self.held |= {row["id"] for row in rows}


@given(st.integers(1, 200), st.data())
def test_exactly_the_bad_rows_are_refused_and_all_others_written(
    count: int, data: st.DataObject
) -> None:
    bad = data.draw(st.sets(st.integers(0, count - 1), max_size=5))
    store = Store(bad)
    rows = [{"id": number} for number in range(count)]
    refused = write_or_refuse(store.write, rows, key="id", reason=str)
    assert set(refused) == bad
    assert store.held == set(range(count)) - bad
    assert store.requests <= 1 + len(bad) * 2 * count.bit_length()


def test_what_no_row_can_cause_is_raised_at_once() -> None:
    store = Store({1})
    with pytest.raises(IndexRejected, match="row 1"):
        write_or_refuse(store.write, [{"id": 1}, {"id": 2}], key="id", reason=lambda _: None)
    assert store.requests == 1


def test_many_rows_refused_alike_are_not_to_blame() -> None:
    def full(rows: list[dict[str, Any]]) -> None:
        raise IndexRejected("no space left")

    rows = [{"id": str(number)} for number in range(10)]
    with pytest.raises(IndexRejected, match=r"all 10 rows .* no space left"):
        write_or_refuse(full, rows, key="id", reason=str)
    assert len(write_or_refuse(full, rows[:9], key="id", reason=str)) == 9


def test_an_unavailable_backend_is_not_halved() -> None:
    calls = []

    def down(rows: list[dict[str, Any]]) -> None:
        calls.append(rows)
        raise IndexUnavailable("down")

    with pytest.raises(IndexUnavailable):
        write_or_refuse(down, [{"id": "a"}, {"id": "b"}], key="id", reason=str)
    assert len(calls) == 1


def test_nothing_to_write_is_no_request() -> None:
    def full(rows: list[dict[str, Any]]) -> None:
        raise IndexRejected("a request without rows")

    assert write_or_refuse(full, [], key="id", reason=str) == {}
