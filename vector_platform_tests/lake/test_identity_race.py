"""The identity of a lake is made once, whoever is first: real processes at the same moment."""

from __future__ import annotations

import multiprocessing
from multiprocessing.queues import SimpleQueue
from multiprocessing.synchronize import Barrier
from pathlib import Path

from vector_platform_tests.lake.building import open_lake

PROCESSES, ROUNDS = 3, 8


def _make(folder: Path, together: Barrier, told: SimpleQueue[tuple[int, str]]) -> None:
    for number in range(ROUNDS):
        table = open_lake(folder / str(number)).index_state
        together.wait(60)
        try:
            table.ensure()
        except Exception as error:
            told.put((number, f"{type(error).__name__}: {error}"))
        else:
            told.put((number, table.identity()[0]))


def test_processes_that_make_a_lakes_identity_at_once_share_one(tmp_path: Path) -> None:
    spawning = multiprocessing.get_context("spawn")
    together, told = spawning.Barrier(PROCESSES), spawning.SimpleQueue()
    processes = [
        spawning.Process(target=_make, args=(tmp_path, together, told)) for _ in range(PROCESSES)
    ]
    for process in processes:
        process.start()
    answers = [told.get() for _ in range(PROCESSES * ROUNDS)]
    for process in processes:
        process.join()
        assert process.exitcode == 0
    for number in range(ROUNDS):
        identity = open_lake(tmp_path / str(number)).index_state.identity()[0]
        assert identity
        assert [text for at, text in answers if at == number] == [identity] * PROCESSES
