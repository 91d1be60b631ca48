"""Killed runs and a killed server, on the full Milvus server.

Belongs here: the shortest form of what `faults/` does to the embedded servers at length.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from vector_platform_tests.faults.servers import ServerProcess
from vector_platform_tests.faults.test_kills import kill_and_recover
from vector_platform_tests.faults.worlds import Runs, World
from vector_platform_tests.milvus_server.process import MilvusServerProcess

pytestmark = [pytest.mark.deep, pytest.mark.milvus_server]

KILLS = 10
# Lines that a run has said when its server dies: before, between and after its writes.
MOMENTS = (8, 13, 18)


class FullServer(ServerProcess):
    """The full server where the suite expects an embedded one."""

    def __init__(self, data: Path) -> None:
        super().__init__("milvus", data)
        self._server = MilvusServerProcess(data)
        self.url = self._server.url

    def start(self) -> None:
        self._server.start()

    def kill(self) -> None:
        self._server.kill()


@pytest.fixture(scope="module")
def full(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FullServer]:
    server = FullServer(tmp_path_factory.mktemp("full_server"))
    server.start()
    yield server
    server.kill()


@pytest.fixture(scope="module")
def runs() -> Iterator[Runs]:
    with Runs() as found:
        yield found


@pytest.fixture
def world(tmp_path: Path, full: FullServer, runs: Runs) -> Iterator[World]:
    made = World(tmp_path / "world", full, runs, seed=17)
    yield made
    made.remove()


def test_killed_runs_are_made_good_by_the_next_one(world: World) -> None:
    died = kill_and_recover(world, KILLS, seed=3)
    print(f"\n{died.total()} kills at {dict(died)}")


def test_a_server_that_dies_under_a_run_costs_no_row(world: World) -> None:
    world.normal_run()
    for moment in MOMENTS:
        world.change()

        def die(at: int, _: str, __: int, moment: int = moment) -> None:
            if at == moment:
                world.server.kill()

        outcome = world.run(on_line=die, timeout_seconds=5)
        if len(outcome.lines) >= moment:
            world.server.start()
        if outcome.kind != "done":
            assert outcome.kind == "failed" and outcome.facts["transient"], outcome.facts
        world.normal_run()
        world.assert_equal()
