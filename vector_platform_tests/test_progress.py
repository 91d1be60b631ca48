"""The line that says how far long work is."""

from __future__ import annotations

import time

import pytest

from vector_platform.progress import Paced, describe_progress


@pytest.mark.parametrize(
    ("done", "seconds", "total", "said"),
    [
        (1200, 5.0, 5000, "1,200 of 5,000 rows, 240 a second, about 16 s left"),
        (5000, 5.0, 5000, "5,000 of 5,000 rows, 1,000 a second"),
        (10, 5.0, 40_000, "10 of 40,000 rows, 2 a second, about 5 h 33 min left"),
        (0, 5.0, 10, "0 of 10 rows, 0 a second"),
        (7, 0.0, None, "7 rows, 0 a second"),
    ],
)
def test_work_says_its_total_rate_and_time_left(
    done: int, seconds: float, total: int | None, said: str
) -> None:
    assert describe_progress("rows", done, seconds, total) == said


def test_nobody_is_told_more_often_than_they_look(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter([0.0, 1.0, 6.0, 7.0, 11.5])
    monkeypatch.setattr(time, "monotonic", lambda: next(clock))
    said: list[str] = []
    paced = Paced(said.append, "rows", 10)
    for done in (1, 6, 7, 9):
        paced.reached(done)
    assert said == [
        "6 of 10 rows, 1 a second, about 4 s left",
        "9 of 10 rows, 1 a second, about 1 s left",
    ]
