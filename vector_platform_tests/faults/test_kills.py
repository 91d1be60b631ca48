"""A run that is killed with SIGKILL at any moment, and one normal run after it.

Belongs here: where the kills strike. Every step of a run (each lake write, each call that writes
to the backend) is killed just before and just after it, and from outside while it is under way.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pytest

from vector_platform.indexes.ownership.claims import EARLIER, new_stamp
from vector_platform_tests.faults import corpus as corpora
from vector_platform_tests.faults.servers import ServerProcess
from vector_platform_tests.faults.worlds import Outcome, Runs, World

pytestmark = pytest.mark.spread

SAMPLE, ALL = 2, 50
# Every so many runs build a new generation; the run after it continues it, and drops the old one.
BUILD_EVERY = 6
# After every so many the corpus is as it was before the killed run.
TAKE_BACK_EVERY = 4


def kill_and_recover(world: World, kills: int, seed: int) -> Counter[str]:
    """Kill so many runs, each followed by a normal one and a proof; returns where they died."""
    rng = random.Random(seed)
    died: Counter[str] = Counter()
    attempt, length = 0, {"run": 20, "build": 12}
    before = world.corpus
    while died.total() < kills:
        attempt += 1
        assert attempt <= 2 * kills, f"only {died.total()} of {attempt} runs could be killed"
        verb = "build" if attempt % BUILD_EVERY == 0 else "run"
        killed: Outcome
        if attempt % 2:
            # Steps in turn with a stride: all of them, and neighbours far apart in time.
            killed = world.run(verb, kill_at=1 + (attempt * 7) % length[verb])
        else:
            killed = world.killed_at_line(rng.randint(1, length[verb]), verb)
        if killed.kind == "killed":
            died[killed.last_step] += 1
        else:
            assert killed.kind == "done", killed.facts
            length[verb] = max(2, len(killed.steps))
        if attempt % TAKE_BACK_EVERY == 0:
            # What the killed run may have written is in no difference between two snapshots.
            world.set(before)
        world.normal_run()
        world.assert_equal()
        before = world.corpus
        world.change()
    [again] = (world.normal_run(), world.normal_run())[1]
    assert (again["mode"], again["upserted"], again["deleted"]) == ("none", 0, 0)
    world.assert_equal()
    return died


@pytest.mark.integration
def test_a_few_killed_runs_are_made_good_by_the_next_one(world: World) -> None:
    kill_and_recover(world, SAMPLE, seed=1)


@pytest.mark.deep
def test_fifty_killed_runs_are_made_good_by_the_next_one(world: World) -> None:
    died = kill_and_recover(world, ALL, seed=2)
    print(f"\n{world.server.backend}: {died.total()} kills at {dict(died)}")
    # The kills were spread over what a run does, reads between the steps included.
    for step in ("merge chunks", "append embeddings", "merge index_state", "upsert", "fence"):
        assert any(step in place for place in died), f"no kill at {step}: {died}"
    assert any("delete" in place for place in died)


@pytest.mark.deep
@pytest.mark.parametrize("place", ["after upsert", "after delete"])
def test_what_a_killed_run_wrote_is_made_good_when_its_changes_are_taken_back(
    world: World, place: str
) -> None:
    """Lake and last proof agree on those rows; the index alone has them otherwise."""
    world.normal_run()
    before = world.corpus
    world.change()
    outcome = world.run(kill_at=place)
    assert (outcome.kind, outcome.last_step) == ("killed", place)
    world.set(before)
    world.normal_run()
    world.assert_equal()


@pytest.mark.integration
@pytest.mark.parametrize("place", ["before mark", "after mark"])
def test_a_run_that_died_around_its_stamp_does_not_lock_the_next_one_out(
    world: World, place: str
) -> None:
    """Killed again and again: the lake knows every stamp that its backend may bear."""
    world.normal_run()
    for _ in range(2):
        world.change()
        outcome = world.run(kill_at=place)
        assert (outcome.kind, outcome.last_step) == ("killed", place)
    world.normal_run()
    world.assert_equal()
    assert len(world.newest().stamps) <= EARLIER + 3


def written_by_another_hand(world: World) -> None:
    """Let all generations of a world bear a stamp that its lake does not know, nor ever did."""
    target = world.server.open()
    try:
        for state in world.states.present():
            target.mark(state.identity, new_stamp(world.lake.snapshot()))
    finally:
        target.close()


def adopt_after_kills(world: World, places: Sequence[str | int]) -> list[str]:
    """Adopt, killed at each place in turn; what the adoption took over that nothing killed."""
    written_by_another_hand(world)
    for place in places:
        assert world.run("adopt", kill_at=place).kind == "killed"
    return finish_adoption(world)


def finish_adoption(world: World) -> list[str]:
    """Repeat an adoption; what was left to take over."""
    done = world.run("adopt")
    assert done.kind == "done", done.facts
    assert world.run("adopt").facts == [], "nothing is left to take over"
    world.normal_run()
    world.assert_equal()
    return list(done.facts)


@pytest.mark.integration
def test_an_adoption_that_is_killed_is_repeated_or_was_recorded(world: World) -> None:
    world.normal_run()
    name = world.newest().generation
    assert adopt_after_kills(world, ["before merge index_state"]) == [name]
    # From its record on the generation is this lake's, whether its backend says so or not.
    assert adopt_after_kills(world, ["after merge index_state"]) == []


@pytest.mark.deep
def test_an_adoption_survives_a_kill_at_every_step(world: World) -> None:
    world.normal_run()
    assert world.run("build").kind == "done"
    step, refusals, killed = 0, 0, True
    while killed:
        step += 1
        written_by_another_hand(world)
        rows = sorted((row["id"], row["tenant"], row["digest"]) for row in world.rows())
        killed = world.run("adopt", kill_at=step).kind == "killed"
        assert sorted((row["id"], row["tenant"], row["digest"]) for row in world.rows()) == rows
        if killed:
            # Until somebody repeats it, a sync is refused or, where all bear our stamps, goes on.
            synced = world.run()
            refusals += synced.kind == "failed"
            assert synced.kind == "done" or synced.facts["error"] == "NotOurs", synced.facts
        finish_adoption(world)
        world.change()
        assert world.run("build").kind == "done"
    assert step > 4 and refusals > 0


@pytest.mark.deep
def test_a_row_that_only_a_killed_run_knew_of_does_not_stay(world: World) -> None:
    """Added, written, taken back: no two snapshots that were proven differ in it.

    Nothing but the recorded intent to write tells the next run to look at everything.
    """
    world.normal_run()
    before = world.corpus
    one_more = dict(before)
    corpora.add(one_more, world.rng)
    world.set(one_more)
    outcome = world.run(kill_at="after upsert")
    assert (outcome.kind, outcome.last_step) == ("killed", "after upsert")
    assert len(world.rows()) > sum(not corpora.is_hopeless(row) for row in before.values())
    world.set(before)
    world.normal_run()
    world.assert_equal()


@pytest.mark.deep
@pytest.mark.parametrize("backend", ["milvus", "pinecone"])
def test_the_first_build_survives_a_kill_at_every_step(
    backend: str, request: pytest.FixtureRequest, tmp_path: Path, runs: Runs
) -> None:
    server: ServerProcess = request.getfixturevalue(backend)
    step, killed = 0, True
    while killed:
        step += 1
        world = World(tmp_path / f"world{step}", server, runs, seed=step)
        killed = world.run(kill_at=step).kind == "killed"
        [report] = world.normal_run()
        assert report["generation"] == "g0001"
        world.assert_equal()
        world.remove()
    assert step > 12
