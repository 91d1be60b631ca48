"""Readers at full speed while the live pointer moves, and moves that are killed half-way.

Belongs here: releases and rollbacks on both backends, seen by readers in processes of their own
through the search path of the platform.
"""

from __future__ import annotations

import json
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from statistics import median
from typing import Any

import pytest

from vector_platform_tests.faults.reader import ERASED, STOP
from vector_platform_tests.faults.runner import INDEX
from vector_platform_tests.faults.servers import PLAIN
from vector_platform_tests.faults.worlds import PATIENCE_SECONDS, Outcome, Runs, World
from vector_platform_tests.lake.building import MODEL

pytestmark = pytest.mark.spread

READERS = 2
SAMPLE, ALL = 1, 20
# Three moves are two releases of one model and a rollback to the first of them, which follows the
# lake no more; then the next model has its turn.
MODELS = [MODEL, "small.v2"]
TURN = 3
# Where a move is killed. A rollback catches up until it has moved once; then both follow the lake.
PLACES = {
    "release": [
        "after merge index_state",
        "after create",
        "after upsert",
        "after fence",
        "before merge releases",
        "after merge releases",
        "after point",
        "after drop",
    ],
    "rollback": [
        "after merge index_state",
        "after upsert",
        "after delete",
        "before merge releases",
        "after merge releases",
        "after point",
    ],
}
# What a move of the pointer may take: it is one commit.
MOVE_SECONDS = 1.0


class Reader:
    """A process that searches until told, followed by a thread."""

    def __init__(self, world: World, runs: Runs) -> None:
        self.outcome = Outcome()
        self._runs = runs
        self._seen = ""
        self._changed = threading.Condition()
        runs.start(world.job("read"))
        self._thread = threading.Thread(target=self._follow)
        self._thread.start()

    def await_generation(self, name: str) -> None:
        """Return when it has been answered from a generation; at once if it was the last."""
        with self._changed:
            assert self._changed.wait_for(lambda: self._seen == name, PATIENCE_SECONDS), (
                f"readers saw {self._seen!r}, never {name!r}: {self.outcome.facts}"
            )

    def join(self) -> Outcome:
        self._thread.join()
        return self.outcome

    def _follow(self) -> None:
        def note(_: int, line: str, __: int) -> None:
            kind, _, name = line.partition(" ")
            if kind == "generation":
                with self._changed:
                    self._seen = json.loads(name)
                    self._changed.notify_all()

        self.outcome = self._runs.finish(note, patience_seconds=10 * PATIENCE_SECONDS)


@contextmanager
def readers(world: World) -> Iterator[list[Reader]]:
    with ExitStack() as stack:
        runners = [stack.enter_context(Runs()) for _ in range(READERS)]
        started = [Reader(world, runs) for runs in runners]
        try:
            yield started
        finally:
            (world.folder / STOP).touch()
            for reader in started:
                reader.join()


def say_erased(world: World, pairs: set[tuple[str, str]]) -> None:
    """Whole or not at all: readers look at it all the time."""
    fresh = world.folder / "erased.new"
    fresh.write_text(json.dumps(sorted(pairs)))
    fresh.replace(world.folder / ERASED)


def contents(world: World) -> set[tuple[str, str]]:
    return {(row_id, row["text"]) for row_id, row in world.corpus.items()}


def move(world: World, verb: str, model: str) -> dict[str, Any]:
    outcome = world.run(verb, models=[model])
    assert outcome.kind == "done", (outcome.facts, outcome.lines[-5:])
    facts: dict[str, Any] = outcome.facts
    return facts


def begun(world: World) -> None:
    """Two models indexed, the first one live."""
    world.models = MODELS
    world.normal_run()
    move(world, "release", MODELS[0])


def cut_over_under_readers(world: World, cutovers: int) -> None:
    begun(world)
    plain = PLAIN[world.server.backend](world.server.url)
    beside = world.live().identity
    plain.plant(beside)
    erased: set[tuple[str, str]] = set()
    say_erased(world, erased)
    moves = []
    with readers(world) as found:
        for number in range(cutovers):
            for reader in found:
                reader.await_generation(world.live().generation)
            before = contents(world)
            world.change()
            world.normal_run()
            # From here on no reader may see it again, whatever becomes live.
            erased |= before - contents(world)
            say_erased(world, erased)
            verb = "rollback" if number % TURN == TURN - 1 else "release"
            was = world.live().generation
            moves.append(move(world, verb, MODELS[number // TURN % 2]))
            assert world.live().generation != was
            world.assert_exact(world.live())
        for reader in found:
            reader.await_generation(world.live().generation)
    assert len(erased) > 4 * cutovers
    for reader in found:
        assert reader.outcome.kind == "done", reader.outcome.facts
        facts = reader.outcome.facts
        print(f"\n{world.server.backend} reader: {facts}")
        assert facts["reads"] > cutovers
        assert (facts["failed"], facts["empty"], facts["risen"]) == (0, 0, []), facts
    took = sorted(one["pointer_seconds"] for one in moves)
    print(f"{len(took)} moves: median {median(took):.3f} s, longest {took[-1]:.3f} s")
    # A busy machine may hold up a single one.
    assert median(took) < MOVE_SECONDS
    assert plain.planted(beside), "something that is not ours was touched"
    plain.uproot(beside)
    plain.close()


@pytest.mark.integration
def test_readers_notice_nothing_of_a_few_moves(world: World) -> None:
    cut_over_under_readers(world, SAMPLE)


@pytest.mark.deep
def test_readers_notice_nothing_of_twenty_moves(world: World) -> None:
    cut_over_under_readers(world, ALL)


@pytest.mark.integration
def test_a_rollback_killed_before_its_alias_is_finished_by_repeating_it(world: World) -> None:
    begun(world)
    move(world, "release", MODELS[0])
    plain = PLAIN[world.server.backend](world.server.url)
    left, killed = world.live(), world.run("rollback", kill_at="after merge releases")
    back = world.live()
    assert killed.kind == "killed" and back.generation != left.generation
    assert not plain.mirrored(back.identity), "the kill came too late to show anything"
    move(world, "rollback", MODELS[0])
    assert world.live() == back, "it has turned forward again"
    assert plain.mirrored(back.identity), "readers outside see another generation"
    plain.close()


@pytest.mark.integration
def test_a_rollback_needs_nothing_that_a_build_holds(world: World) -> None:
    """The build is stopped in its writes, with its lock, until the rollback is done."""
    begun(world)
    move(world, "release", MODELS[0])
    left, back = world.live(), list[Outcome]()
    with Runs() as other:

        def meanwhile(_: int, line: str, pid: int) -> None:
            if line == 'step "after upsert"' and not back:
                os.kill(pid, signal.SIGSTOP)
                other.start(world.job("rollback"))
                back.append(other.finish())
                os.kill(pid, signal.SIGCONT)

        built = world.run("build", meanwhile, models=[MODELS[0]])
    assert built.kind == "done", built.facts
    (outcome,) = back
    assert outcome.kind == "done", outcome.facts
    print(f"\n{world.server.backend}: rolled back in {outcome.facts['seconds']:.2f} s")
    assert world.live().generation != left.generation
    world.assert_exact(world.live())
    world.assert_exact(world.newest(MODELS[0]))


@pytest.mark.deep
@pytest.mark.parametrize(("verb", "places"), PLACES.items(), ids=PLACES)
def test_a_move_killed_anywhere_leaves_readers_a_whole_index(
    world: World, verb: str, places: list[str]
) -> None:
    """Half-built generations are collected by a later release; nothing is left on the backend."""
    begun(world)
    move(world, "release", MODELS[0])
    plain = PLAIN[world.server.backend](world.server.url)
    for place in places:
        world.change()
        world.normal_run()
        assert plain.mirrored(world.live().identity), "readers outside see another generation"
        was = world.live().generation
        outcome = world.run(verb, models=[MODELS[0]], kill_at=place)
        assert (outcome.kind, outcome.last_step) == ("killed", place)
        moved = "after merge releases" in outcome.steps
        assert (world.live().generation != was) == moved
        world.assert_exact(world.live())
    for model in MODELS:
        move(world, "release", model)
    plain.close()
    present = world.states.present()
    assert [state.status for state in present] == ["proven", "proven"]
    target = world.server.open()
    try:
        assert [p.generation.name for p in target.claims(INDEX)] == [
            state.generation for state in present
        ]
    finally:
        target.close()


@pytest.mark.deep
def test_a_half_built_generation_is_not_seen_and_is_collected(world: World) -> None:
    begun(world)
    live = world.live()
    killed = world.run("build", models=[MODEL], kill_at="after upsert")
    assert (killed.kind, killed.last_step) == ("killed", "after upsert")
    half = world.newest()
    assert (half.status, half.generation != live.generation) == ("building", True)
    assert world.live() == live
    world.assert_exact(live)
    move(world, "release", MODEL)
    assert half.generation not in {state.generation for state in world.states.present()}
    world.assert_exact(world.live())
