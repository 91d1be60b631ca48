"""Two landings of a source at the same moment: one writes, whoever and wherever the other is."""

from __future__ import annotations

import multiprocessing
import threading
from collections.abc import Callable, Iterator
from multiprocessing.queues import SimpleQueue
from pathlib import Path
from typing import Any, Protocol

import pytest

from vector_platform.lake.lake import Lake
from vector_platform.lake.storage.commits import CommitConflict
from vector_platform.sources.base import DayWindow, Reject, SourceRow
from vector_platform_tests.sources.landings import (
    INCREMENTAL,
    NAME,
    Found,
    Rows,
    day,
    land_rows,
    newest,
    rejects,
)

ROWS: list[Found] = [
    *({"id": str(number), "text": f"row {number}", "at": "2026-11-01"} for number in range(50)),
    {"id": "bad", "text": None, "at": "2026-11-01"},
]


class Together(Protocol):
    def wait(self, timeout: float | None = None) -> Any: ...


class Meeting(Rows):
    """Gives its rows when all of them are read: every lake has been looked at by then."""

    def __init__(self, together: Together) -> None:
        super().__init__(ROWS)
        self.together = together

    def read(self, window: DayWindow) -> Iterator[SourceRow | Reject]:
        self.together.wait(60)
        yield from super().read(window)


def land_at_once(uri: str, together: Together, tell: Callable[[str], None]) -> None:
    """A machine of its own: no lock is shared, only the lake."""
    lake = Lake(uri)
    try:
        land_rows(lake, Meeting(together), fields=INCREMENTAL)
    except CommitConflict as error:
        tell(f"conflict: {error}")
    else:
        tell("landed")


def assert_landed_once(uri: str, told: list[str]) -> None:
    lake = Lake(uri)
    assert sorted(answer.partition(":")[0] for answer in told) == ["conflict", "landed"]
    assert f"raw/{NAME}" in "".join(told)
    assert lake.raw(NAME).read().num_rows == len(newest(lake)) == 50
    again = land_rows(lake, ROWS, fields=INCREMENTAL)
    assert not again.wrote and again.unchanged == 50
    assert len(rejects(lake)) == 1
    assert [row["inserted"] for row in lake.landings.read().to_pylist()] == [50]


@pytest.mark.parametrize("first", ["nothing", "an older landing"])
def test_of_two_machines_that_land_a_source_at_once_the_second_is_refused(
    tmp_path: Path, first: str
) -> None:
    uri = str(tmp_path / "lake")
    if first != "nothing":
        land_rows(Lake(uri), [], on=day(2), fields=INCREMENTAL)
    together, told = threading.Barrier(2), list[str]()
    threads = [
        threading.Thread(target=land_at_once, args=(uri, together, told.append)) for _ in range(2)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    lake = Lake(uri)
    assert lake.raw(NAME).read().num_rows == 50
    if first == "nothing":
        assert_landed_once(uri, told)


def test_landings_of_different_sources_do_not_meet(tmp_path: Path) -> None:
    lake = Lake(str(tmp_path / "lake"))
    seen = lake.landings.version()

    class Other(Rows):
        def read(self, window: DayWindow) -> Iterator[SourceRow | Reject]:
            land_rows(Lake(lake.uri), [{"id": "a", "text": "a"}], name="letters")
            yield from super().read(window)

    assert land_rows(lake, Other([{"id": "a", "text": "a"}])).inserted == 1
    assert {row["source"] for row in lake.landings.read().to_pylist()} == {NAME, "letters"}
    assert seen == -1


def _land(uri: str, together: Together, told: SimpleQueue[str]) -> None:
    land_at_once(uri, together, told.put)


@pytest.mark.deep
def test_of_processes_that_land_a_source_at_once_one_writes(tmp_path: Path) -> None:
    spawning = multiprocessing.get_context("spawn")
    for number in range(4):
        uri = str(tmp_path / str(number))
        together, told = spawning.Barrier(2), spawning.SimpleQueue()
        processes = [spawning.Process(target=_land, args=(uri, together, told)) for _ in range(2)]
        for process in processes:
            process.start()
        answers = [told.get() for _ in processes]
        for process in processes:
            process.join()
            assert process.exitcode == 0
        assert_landed_once(uri, answers)
