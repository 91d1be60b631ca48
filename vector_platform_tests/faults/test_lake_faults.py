"""A lake that cannot be written, and writers that get in each other's way.

Belongs here: a full disk, a commit conflict, two syncs of one index from two processes. A full
disk is a limit on the size of any file a process may write (RLIMIT_FSIZE): the kernel refuses
the write with an error, as it does for a disk without space, and needs no privilege.
"""

from __future__ import annotations

import os
import signal

import pytest

from vector_platform.lake.storage.commits import CommitConflict, WriteFailed
from vector_platform_tests.faults import corpus as corpora
from vector_platform_tests.faults.worlds import Outcome, Runs, World
from vector_platform_tests.lake.building import MODEL, chunks, open_lake

pytestmark = [pytest.mark.deep, pytest.mark.spread]


def versions(world: World) -> dict[str, int]:
    return {table.spec.name: table.version() for table in world.lake.tables()}


def content(world: World) -> dict[str, object]:
    rows = world.lake.chunks.read().to_pylist()
    return {row["chunk_id"]: row for row in rows}


@pytest.mark.parametrize("file_bytes", [64, 700, 3_000])
def test_a_full_disk_leaves_the_lake_as_it_was_and_says_so(world: World, file_bytes: int) -> None:
    world.normal_run()
    world.change()
    before, held = versions(world), content(world)
    outcome = world.run("publish", file_bytes=file_bytes)
    assert outcome.kind == "failed", outcome.facts
    assert outcome.facts["error"] == WriteFailed.__name__ and outcome.facts["transient"]
    assert "chunks" in outcome.facts["message"]
    assert versions(world) == before
    assert content(world) == held
    world.normal_run()
    world.assert_equal()


def test_a_disk_that_fills_up_before_the_state_is_saved_leaves_a_run_to_repeat(
    world: World,
) -> None:
    world.normal_run()
    world.change()
    assert world.run("publish").kind == "done"
    before = world.newest()
    outcome = world.run("repair", file_bytes=64)
    assert outcome.kind == "failed" and outcome.facts["transient"], outcome.facts
    assert world.newest() == before
    world.normal_run()
    world.assert_equal()


def test_of_two_commits_at_once_one_says_that_it_lost(world: World) -> None:
    """Two writers of the same rows, both begun from the same version."""
    world.normal_run()
    world.change()
    with Runs() as other:
        world.runs.start(world.job("publish"))
        other.start(world.job("publish"))
        outcomes = [world.runs.finish(), other.finish()]
    kinds = [outcome.kind for outcome in outcomes]
    assert "done" in kinds
    for outcome in outcomes:
        if outcome.kind == "failed":
            assert outcome.facts["error"] == CommitConflict.__name__, outcome.facts
            assert outcome.facts["transient"]
        else:
            assert outcome.kind == "done", outcome.facts
    world.normal_run()
    world.assert_equal()


def test_two_syncs_at_once_never_both_write(world: World) -> None:
    world.normal_run()
    with Runs() as other:
        for _ in range(4):
            world.change()
            assert world.run("publish").kind == "done"
            second: list[Outcome] = []

            def meanwhile(_: int, line: str, pid: int, second: list[Outcome] = second) -> None:
                def go_on(_: int, said: str, __: int) -> None:
                    if "waiting for" in said:
                        os.kill(pid, signal.SIGCONT)

                if line == 'step "after merge index_state"' and not second:
                    # Stopped with its lock, until the other one waits for it.
                    os.kill(pid, signal.SIGSTOP)
                    other.start(world.job())
                    second.append(other.finish(go_on))

            first = world.run(on_line=meanwhile)
            assert first.kind == "done", first.facts
            [found] = second
            assert found.kind == "done", found.facts
            assert found.facts[0]["mode"] == "none"
            assert any("waiting for" in line for line in found.lines)
            world.assert_equal()


def test_two_syncs_started_together_from_two_processes_prove_the_index_once(world: World) -> None:
    world.normal_run()
    with Runs() as other:
        for _ in range(3):
            world.change()
            assert world.run("publish").kind == "done"
            written = world.lake.index_state.version()
            world.runs.start(world.job("repair"))
            other.start(world.job("repair"))
            outcomes = [world.runs.finish(), other.finish()]
            for outcome in outcomes:
                assert outcome.kind == "done", outcome.facts
            writers = [o for o in outcomes if o.kind == "done" and o.facts[0]["upserted"]]
            assert len(writers) == 1
            assert world.lake.index_state.version() > written
            world.assert_equal()


def test_a_commit_that_conflicts_changes_nothing(world: World) -> None:
    world.normal_run()
    rows = [corpora.new_text(row, world.rng) for row in list(world.corpus.values())[:3]]
    ours, theirs = open_lake(world.folder), open_lake(world.folder)
    opened = ours.chunks._open
    stale = opened()
    ours.chunks._open = lambda *_, **__: stale  # type: ignore[method-assign]
    table = chunks(rows)
    theirs.chunks.merge(table)
    version = theirs.chunks.version()
    with pytest.raises(CommitConflict, match="run it again"):
        ours.chunks.merge(chunks([corpora.new_text(row, world.rng) for row in rows]))
    assert theirs.chunks.version() == version
    kept = {row["chunk_id"]: row["text"] for row in theirs.chunks.read().to_pylist()}
    assert all(kept[row["chunk_id"]] == row["text"] for row in rows)
    world.normal_run()
    world.assert_equal()
    assert world.newest(MODEL).status == "proven"
