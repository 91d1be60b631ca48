"""Bad days of a Milvus server: refusals, silence, lost connections.

Belongs here: what a proxy before the server can do while a run is under way. A run either
succeeds, and then the index holds the corpus, or fails with an error that says that it may pass;
and the next normal run makes it good.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from vector_platform_tests.faults.milvus_proxy import Fault, MilvusProxy
from vector_platform_tests.faults.servers import ServerProcess
from vector_platform_tests.faults.worlds import Outcome, Runs, World

pytestmark = [pytest.mark.deep, pytest.mark.spread]

ROWS = r"/(Upsert|Insert|Delete|Flush|Query|Search)$"
UPSERT, DELETE = r"/Upsert$", r"/Delete$"
# Longer than a run of this suite waits for an answer.
SILENCE_SECONDS, TIMEOUT_SECONDS = 6.0, 4.0
# Lines that a run has said when its connections are torn: before, between and after its writes.
MOMENTS = (4, 8, 11, 14, 18)

DAYS: dict[str, list[Fault]] = {
    "every second request is told to slow down": [Fault(ROWS, "busy", probability=0.5)],
    "a storm of refusals that does not end": [Fault(ROWS, "busy")],
    "calls lost before they are handled": [Fault(ROWS, "lost", probability=0.3)],
    "calls applied and their answers lost": [Fault(ROWS, "lost", after=True, probability=0.3)],
    "every upsert is applied once and its answer lost": [Fault(UPSERT, "lost", True, times=1)],
    "reads that fail until the end": [Fault(r"/(Query|Search)$", "lost", skip=3)],
    "every deletion is applied and its answer lost": [Fault(DELETE, "lost", after=True)],
    "silence before writes are applied": [Fault(UPSERT, delay_seconds=SILENCE_SECONDS, times=1)],
    "silence after writes are applied": [
        Fault(UPSERT, after=True, delay_seconds=SILENCE_SECONDS, times=1)
    ],
}


@pytest.fixture(scope="module")
def proxy(milvus: ServerProcess) -> Iterator[MilvusProxy]:
    with MilvusProxy(milvus.url) as found:
        yield found


@pytest.fixture
def world(tmp_path: Path, milvus: ServerProcess, runs: Runs) -> Iterator[World]:
    made = World(tmp_path / "world", milvus, runs, seed=13)
    yield made
    made.remove()


def made_good(world: World, outcome: Outcome) -> None:
    if outcome.kind == "done":
        # Proven means so, for whoever looks now.
        world.assert_exact()
    else:
        assert outcome.kind == "failed" and outcome.facts["transient"], outcome.facts
        assert outcome.facts["error"] == "IndexUnavailable", outcome.facts
    [report] = world.normal_run()
    assert (report["mode"] == "none") == (outcome.kind == "done")
    world.assert_equal()


@pytest.mark.parametrize("day", DAYS)
def test_a_bad_day_ends_in_success_or_in_a_clear_failure_and_then_success(
    world: World, proxy: MilvusProxy, day: str
) -> None:
    world.normal_run()
    world.change()
    faults = [Fault(**vars(fault)) for fault in DAYS[day]]
    proxy.turn(*faults, seed=1)
    outcome = world.run(url=proxy.url, timeout_seconds=TIMEOUT_SECONDS)
    proxy.turn()
    assert any(fault.hits for fault in faults), outcome.lines
    endless = any(fault.times is None and fault.probability == 1 for fault in faults)
    assert not (endless and outcome.kind == "done"), outcome.lines
    made_good(world, outcome)


def test_connections_torn_at_any_moment_cost_no_row(world: World, proxy: MilvusProxy) -> None:
    world.normal_run()
    for moment in MOMENTS:
        world.change()

        def tear(at: int, _: str, __: int, moment: int = moment) -> None:
            if at == moment:
                proxy.tear()

        outcome = world.run(on_line=tear, url=proxy.url, timeout_seconds=TIMEOUT_SECONDS)
        assert len(outcome.lines) >= moment
        made_good(world, outcome)
