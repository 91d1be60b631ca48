"""The daemon and everything it started, killed at any moment of a run: it comes back by itself.

Belongs here: kills of all at once. What a kill does to data is in `faults/test_kills.py`; here it
is about runs, their places in the pools, and the next run.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from vector_platform_tests.orchestration.runs.daemons import (
    UNFINISHED,
    Deployment,
    deployed,
)

pytestmark = [pytest.mark.deep, pytest.mark.spread]

# Events that a run has written when everything is killed: it writes about as many.
MOMENTS = tuple(range(1, 21))


@pytest.fixture(scope="module")
def deployment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    """One for all kills: each goes on where the one before has brought it back to."""
    with deployed(tmp_path_factory.mktemp("daemon") / "home") as found:
        found.start_daemon()
        yield found


@pytest.mark.parametrize("moment", MOMENTS)
def test_the_whole_tree_killed_at_a_moment_of_a_run_comes_back_by_itself(
    deployment: Deployment, moment: int, record_property: Callable[[str, object], None]
) -> None:
    assert not deployment.ingests(*UNFINISHED), deployment.state()
    killed = deployment.dropped_run(lambda run: deployment.events(run) >= moment)
    status = killed.status.value
    deployment.kill()
    deployment.start_daemon()
    seconds = deployment.converged(killed)
    record_property("seconds to convergence", round(seconds))
    print(f"after event {moment} ({status}): converged in {seconds:.0f} s")
