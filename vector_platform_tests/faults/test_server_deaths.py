"""Servers that are killed and restarted while a run is under way, and right after one.

Belongs here: SIGKILL of a server, both backends.
"""

from __future__ import annotations

import pytest

from vector_platform_tests.faults.worlds import World

pytestmark = [pytest.mark.deep, pytest.mark.spread]

# Lines that a run has said when its server dies: before the first write to it, between writes,
# between the fence and the deletes, and just before the end.
MOMENTS = (5, 8, 10, 12, 14, 17, 20)


@pytest.mark.parametrize("back_at_once", [True, False], ids=["back at once", "back later"])
def test_a_server_that_dies_under_a_run_costs_no_row(world: World, back_at_once: bool) -> None:
    world.normal_run()
    failed = 0
    for moment in MOMENTS:
        world.change()

        def die(at: int, _: str, __: int, moment: int = moment) -> None:
            if at == moment:
                world.server.kill()
                if back_at_once:
                    world.server.start()

        outcome = world.run(on_line=die, timeout_seconds=5)
        died = len(outcome.lines) >= moment
        if died and not back_at_once:
            world.server.start()
        if outcome.kind == "done":
            world.assert_exact()
        else:
            failed += 1
            assert outcome.kind == "failed" and outcome.facts["transient"], outcome.facts
        world.normal_run()
        world.assert_equal()
    assert failed or back_at_once


def test_what_a_run_has_proven_is_there_after_the_server_is_killed(world: World) -> None:
    for _ in range(3):
        world.normal_run()
        world.server.kill()
        world.server.start()
        world.assert_exact()
        [report] = world.normal_run()
        assert report["mode"] == "none"
        world.change()
