"""Copies and backups of a lake: only one of them goes on writing."""

from __future__ import annotations

import shutil

import numpy as np
import pytest

from vector_platform.indexes.contract import Claim, Generation, NotOurs, Scope
from vector_platform.indexes.ownership.claims import Ownership
from vector_platform.releases.pointer.live import LivePointer
from vector_platform.serving.answers import Source
from vector_platform_tests.integration.conftest import Server
from vector_platform_tests.integration.ownership.deployment import (
    NOW,
    SIX,
    Deployment,
    adopter,
    another,
)
from vector_platform_tests.lake.building import MODEL
from vector_platform_tests.serving.worlds import searcher_of

pytestmark = pytest.mark.integration


def test_of_a_lake_and_its_copy_only_the_first_to_write_goes_on(
    ours: Deployment, server: Server
) -> None:
    shutil.copytree(ours.folder, ours.folder.parent / "copy")
    copy = another(ours, server, "copy")
    ours.put("s:77")
    ours.sync.sync(MODEL)
    copy.put("c:1", delete=("s:1",))
    state = copy.newest()
    for attempt in (
        lambda: copy.sync.sync(MODEL),
        lambda: copy.sync.build(MODEL),
        lambda: copy.sync.repair(state),
        lambda: copy.sync.drop(state),
    ):
        with pytest.raises(NotOurs, match=r"last written towards chunks@.*a copy"):
            attempt()
    ours.assert_untouched(SIX | {"s:77"})


def test_a_copy_that_writes_first_locks_the_other_out_and_not_itself(
    ours: Deployment, server: Server
) -> None:
    shutil.copytree(ours.folder, ours.folder.parent / "copy")
    copy = another(ours, server, "copy")
    copy.put("c:1")
    copy.sync.sync(MODEL)
    ours.put("s:77")
    with pytest.raises(NotOurs, match=r"a copy.*index adopt"):
        ours.sync.sync(MODEL)
    copy.assert_untouched(SIX | {"c:1"})
    # The way back: the first one sees what it would lose, takes it over, and the copy is refused.
    proposals = adopter(ours).proposals(NOW)
    assert [(p.differences, p.proof.plan.orphaned) for p in proposals] == [(1, 1)]
    adopter(ours).adopt(proposals, now=NOW)
    assert ours.sync.sync(MODEL).deleted == 1
    ours.assert_untouched(SIX | {"s:77"})
    with pytest.raises(NotOurs, match=r"a copy.*index adopt"):
        copy.sync.sync(MODEL)


def test_a_generation_that_a_copy_has_built_is_taken_over_with_the_others(
    ours: Deployment, server: Server
) -> None:
    shutil.copytree(ours.folder, ours.folder.parent / "copy")
    copy = another(ours, server, "copy")
    copy.sync.build(MODEL)
    with pytest.raises(NotOurs, match="g0002 is of this lake, but its records do not know it"):
        ours.sync.sync(MODEL)
    proposals = adopter(ours).proposals(NOW)
    assert [(p.claim.generation.name, p.differences) for p in proposals] == [("g0002", 0)]
    adopter(ours).adopt(proposals, now=NOW)
    assert ours.sync.sync(MODEL).generation.generation == "g0002"
    ours.assert_untouched(SIX)
    with pytest.raises(NotOurs, match="a copy"):
        copy.sync.sync(MODEL)


def test_a_lake_from_an_older_backup_does_not_take_the_index_back(
    ours: Deployment, server: Server
) -> None:
    shutil.copytree(ours.folder, ours.folder.parent / "backup")
    ours.put("s:77")
    ours.sync.sync(MODEL)
    restored = another(ours, server, "backup")
    with pytest.raises(NotOurs, match="restored from a backup"):
        restored.sync.repair(restored.newest())
    ours.assert_untouched(SIX | {"s:77"})


def test_a_lake_from_before_the_newest_generation_is_refused(
    ours: Deployment, server: Server
) -> None:
    """What its books know was written by it; what they do not know, was not."""
    shutil.copytree(ours.folder, ours.folder.parent / "backup")
    ours.sync.build(MODEL)
    restored = another(ours, server, "backup")
    restored.put("b:1")
    for attempt in (restored.sync.sync, restored.sync.build):
        with pytest.raises(NotOurs, match="its records do not know it"):
            attempt(MODEL)
    ours.assert_untouched(SIX)


def test_a_mirror_is_not_moved_by_a_lake_whose_history_is_another(
    ours: Deployment, server: Server
) -> None:
    pointer = LivePointer(ours.lake, server.backend, ours.index)
    pointer.promote(ours.newest(), actor="a", reason="b", evidence={}, run_id="run")
    shutil.copytree(ours.folder, ours.folder.parent / "copy")
    copy = another(ours, server, "copy")
    ours.put("s:77")
    ours.sync.sync(MODEL)
    pointer.mirror(ours.target)
    with pytest.raises(NotOurs, match="a copy"):
        LivePointer(copy.lake, server.backend, copy.index).mirror(copy.target)


def test_a_search_in_a_copy_says_that_the_rows_may_be_of_another_history(
    ours: Deployment, server: Server
) -> None:
    LivePointer(ours.lake, server.backend, ours.index).promote(
        ours.newest(), actor="a", reason="b", evidence={}, run_id="run"
    )
    shutil.copytree(ours.folder, ours.folder.parent / "copy")
    copy = another(ours, server, "copy")

    def ask(deployment: Deployment) -> Source:
        with searcher_of(
            deployment.lake,
            lambda _: deployment.target,
            embed=lambda *_: np.array([1.0, 0, 0, 0]),
            backends=[server.backend],
            index=deployment.index,
        ) as searcher:
            answer = searcher.search("x", scope=Scope.all_tenants(), k=3)
            assert answer.hits
            return answer.source

    assert not ask(copy).degraded
    ours.put("s:77")
    ours.sync.sync(MODEL)
    assert ask(copy).degraded and "a copy" in str(ask(copy).doubt)
    assert not ask(ours).degraded


def test_a_session_that_another_process_of_ours_begins_meanwhile_is_no_strangers(
    ours: Deployment, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Generations are written side by side: our records are read after the backend."""
    claims, state = ours.target.claims, ours.newest()
    snapshot = ours.lake.snapshot()

    def begun_meanwhile(index: str) -> list[Claim]:
        with monkeypatch.context() as patch:
            patch.setattr(ours.target, "claims", claims)
            beside = Ownership(ours.sync.states, ours.target)
            beside.open(state, snapshot, run_id="beside", now=NOW)
        return claims(index)

    monkeypatch.setattr(ours.target, "claims", begun_meanwhile)
    Ownership(ours.sync.states, ours.target).require()
    monkeypatch.undo()
    ours.assert_untouched(SIX)


def test_another_writer_in_between_keeps_a_sync_from_being_recorded_as_proven(
    ours: Deployment, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two machines have two locks: the backend is asked once more before the proof counts."""
    ours.put("s:77")
    fence = ours.target.fence

    def interrupted(generation: Generation, **options: bool) -> None:
        fence(generation, **options)
        ours.target.mark(ours.newest().identity, "somebody else")

    monkeypatch.setattr(ours.target, "fence", interrupted)
    with pytest.raises(NotOurs, match="a copy"):
        ours.sync.sync(MODEL)
    assert ours.newest().status == "syncing"
