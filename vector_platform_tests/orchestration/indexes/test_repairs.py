"""An index that was damaged: its check, and the job that mends it.

The lake is real, the backends are in memory, the runs are Dagster's own, in process.
"""

from __future__ import annotations

import threading
from typing import Any

import dagster as dg
import pytest

from vector_platform.lake.storage.waiting import WaitingLock
from vector_platform.orchestration import keys
from vector_platform.orchestration.check_results import newest_results
from vector_platform.orchestration.launch import RunFailed, Runs
from vector_platform.orchestration.releases.jobs import PromoteConfig
from vector_platform.remediation import checks
from vector_platform_tests.lake import building
from vector_platform_tests.orchestration.harness import NEW, OLD
from vector_platform_tests.orchestration.indexes.worlds import (
    CHUNKS,
    MILVUS,
    add_rows,
    check,
    generation_of,
    live,
    lose_rows,
    memory,
    promote,
    repair,
)
from vector_platform_tests.orchestration.verdicts import (
    answers,
)
from vector_platform_tests.pictures import pictures_of


def test_a_repair_job_mends_what_a_check_has_found_and_nothing_else(runs: Runs) -> None:
    runs.materialize([MILVUS], partition=OLD)
    lose_rows(runs, generation_of(runs), 3)
    assert not check(runs)
    assert repair(runs, model_version=OLD) == {OLD: [3]}
    key = dg.AssetCheckKey(MILVUS, checks.PARITY)
    newest = newest_results(runs.instance, [key], partition=OLD)[key]
    assert (newest.passed, newest.partition, newest.metadata["rows_actual"]) == (True, OLD, CHUNKS)
    assert check(runs)
    assert memory(runs).count(generation_of(runs)) == CHUNKS


@pytest.mark.deep
def test_a_repair_takes_every_model_of_its_backend(runs: Runs) -> None:
    both = [keys.index(name, runs.platform.settings) for name in ("milvus", "pinecone")]
    for model_version in (OLD, NEW):
        runs.materialize(both, partition=model_version)
    lose_rows(runs, generation_of(runs), 1)
    assert repair(runs, "pinecone") == {OLD: [0], NEW: [0]}
    assert repair(runs) == {OLD: [1], NEW: [0]}


def test_a_repair_deletes_no_more_than_it_may(runs: Runs) -> None:
    runs.materialize([MILVUS], partition=OLD)
    add_rows(runs, generation_of(runs), 4)
    with pytest.raises(RunFailed, match="--allow-delete 4"):
        repair(runs, model_version=OLD)
    assert memory(runs).count(generation_of(runs)) == CHUNKS + 4
    repair(runs, model_version=OLD, allow_delete=4)
    assert check(runs)


@pytest.mark.deep
def test_damage_of_the_generation_readers_see_is_found_while_a_newer_one_waits(
    runs: Runs,
) -> None:
    runs.materialize([MILVUS], partition=OLD)
    promote_on_milvus = PromoteConfig(
        model_version=OLD, backends=["milvus"], actor="test", reason="a test"
    )
    runs.job("promote", promote_on_milvus)
    seen_by_readers = generation_of(runs)
    runs.platform.index_sync("milvus", run_id="test").build(OLD)
    assert (live(runs), generation_of(runs).name) == ("g0001", "g0002")
    lose_rows(runs, seen_by_readers, 2)
    assert not check(runs)
    assert repair(runs, model_version=OLD) == {OLD: [2, 0]}
    assert check(runs)


def test_an_index_that_was_damaged_fails_its_check_and_only_that(runs: Runs) -> None:
    runs.materialize([MILVUS], partition=OLD)
    generation = generation_of(runs)
    memory(runs).rows(generation).pop(next(iter(memory(runs).rows(generation))))
    memory(runs).damaged(generation)
    done = runs.materialize([MILVUS], partition=OLD)
    assert done.failed_checks == ("milvus/documents:index_matches_lake",)


def test_a_damaged_index_is_shown_by_tenant_and_kind_and_says_who_mends_it(runs: Runs) -> None:
    building.put(runs.platform.lake, building.chunk("zoo:1", "a keeper", tenant="zoo"))
    building.embed(runs.platform.lake, OLD)
    runs.materialize([MILVUS], partition=OLD)
    generation = generation_of(runs)
    lose_rows(runs, generation, 3)
    add_rows(runs, generation, 2)
    runs.materialize([MILVUS], partition=OLD)
    key = dg.AssetCheckKey(MILVUS, checks.PARITY)
    proven, damaged = (answer.metadata for answer in answers(runs.instance, key))
    assert pictures_of(proven) == {} and proven["what_happens"] == ""
    assert [size[0] for size in pictures_of(damaged).values()] == [640]
    assert "3 rows missing in the index; 2 rows unknown to the lake" in damaged["diagnosis"]
    assert damaged["diagnosis"].endswith("Tenants: acme.")
    assert "repair_on_divergence starts the job repair_milvus," in damaged["what_happens"]


@pytest.mark.deep
def test_a_repair_that_is_started_while_a_sync_is_running_waits_for_it_and_ends_well(
    runs: Runs, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two real runs at once: the sync is held in its first write until the repair waits for it."""
    runs.materialize([MILVUS], partition=OLD)
    building.put(runs.platform.lake, building.chunk("guides:new", "a text that came later"))
    building.embed(runs.platform.lake, OLD)
    waiting = threading.Event()
    index = memory(runs)
    upsert, holder = index.upsert, WaitingLock._holder
    done: list[Any] = []
    beside = threading.Thread(target=lambda: done.append(repair(runs, model_version=OLD)))

    def asked_for(self: WaitingLock) -> str:
        waiting.set()
        return holder(self)

    def held(generation: Any, rows: Any, *, fresh: bool = False) -> None:
        if not beside.ident:
            beside.start()
            assert waiting.wait(60), "the repair has waited for nobody"
        upsert(generation, rows, fresh=fresh)

    monkeypatch.setattr(WaitingLock, "_holder", asked_for)
    monkeypatch.setattr(index, "upsert", held)
    runs.materialize([MILVUS], partition=OLD)
    beside.join(60)
    assert done == [{OLD: [0]}]
    assert check(runs)


@pytest.mark.deep
def test_a_mirror_that_was_left_behind_fails_its_check_until_the_next_sync(runs: Runs) -> None:
    runs.materialize([MILVUS, dg.AssetKey(["pinecone", "documents"])], partition=OLD)
    promote(runs, OLD)
    index = memory(runs)
    pointed, index.pointed = index.pointed, None
    assert not check(runs, name=checks.MIRROR)
    runs.materialize([MILVUS], partition=OLD)
    assert check(runs, name=checks.MIRROR)
    assert index.pointed == pointed
