"""Runs that touch indexes: rebuild after drift, retries by type, and the delete guard's way out.

The lake is real, the backends are in memory, the runs are Dagster's own, in process.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from vector_platform.indexes.state import IndexStates
from vector_platform.lake.storage.waiting import WaitingLock
from vector_platform.orchestration import keys
from vector_platform.orchestration.check_results import newest_results
from vector_platform.orchestration.indexes.jobs import RepairConfig
from vector_platform.orchestration.launch import RunFailed, Runs
from vector_platform.orchestration.releases.jobs import PromoteConfig
from vector_platform.orchestration.remediation.jobs import IndexTarget, ReindexConfig
from vector_platform.orchestration.runs import retries
from vector_platform.remediation import checks
from vector_platform_tests.indexes.memory_index import MemoryIndex
from vector_platform_tests.lake import building
from vector_platform_tests.orchestration.harness import NEW, OLD, MemoryPlatform, settings_of
from vector_platform_tests.orchestration.verdicts import (
    Says,
    Sensor,
    answers,
    lost,
    run_checks,
    well,
)
from vector_platform_tests.pictures import pictures_of

CHUNKS = 12
MILVUS = dg.AssetKey(["milvus", "documents"])


@pytest.fixture
def runs(root: Path, tmp_path: Path) -> Runs:
    """Twelve embedded chunks under two model versions, in a lake of the test's own."""
    # The dbt project is shared, so only the lake moves.
    settings = settings_of(root)
    platform = MemoryPlatform(settings)
    platform.lake = building.open_lake(tmp_path)
    building.put(
        platform.lake, *(building.chunk(f"guides:{n}", f"text {n}") for n in range(CHUNKS))
    )
    for model_version in (OLD, NEW):
        building.embed(platform.lake, model_version)
    return Runs(platform, instance=dg.DagsterInstance.ephemeral())


def states(runs: Runs, model_version: str, backend: str = "milvus") -> dict[str, str]:
    """Generation -> status, of a model version."""
    found = IndexStates(runs.platform.lake.index_state, backend, "documents").all()
    return {s.generation: s.status for s in found if s.model_version == model_version}


def live(runs: Runs) -> str | None:
    release = runs.platform.live_pointer("milvus").live()
    return release.generation if release else None


def promote(runs: Runs, model_version: str) -> None:
    runs.job(
        "promote",
        PromoteConfig(model_version=model_version, actor="test", reason="a test"),
    )


def rebuild(runs: Runs, model_version: str, backend: str) -> None:
    target = IndexTarget(model_version=model_version, backends=[backend])
    runs.job("reindex", ReindexConfig(targets=[target], reason="a test"))


def memory(runs: Runs) -> MemoryIndex:
    index = runs.platform.target("milvus")
    assert isinstance(index, MemoryIndex)
    return index


def tries(runs: Runs) -> int:
    """How often the newest run asked for a retry."""
    run = runs.instance.get_runs(limit=1)[0]
    return len(runs.instance.all_logs(run.run_id, of_type=dg.DagsterEventType.STEP_UP_FOR_RETRY))


def sync_config(**config: Any) -> Mapping[str, Any]:
    return {"ops": {MILVUS.to_python_identifier(): {"config": config}}}


# -- rebuild --------------------------------------------------------------------------------


def test_lost_recall_of_the_live_model_ends_in_a_new_proven_live_generation(runs: Runs) -> None:
    both = [keys.index(name, runs.platform.settings) for name in ("milvus", "pinecone")]
    for model_version in (OLD, NEW):
        runs.materialize(both, partition=model_version)
    promote(runs, OLD)
    assert live(runs) == "g0001"

    sensor = Sensor("reindex_on_lost_recall", runs.platform, runs.instance)
    run_checks(runs.instance, None, Says(checks.CHUNKS))
    run_checks(runs.instance, OLD, *well(lost("e1", "milvus"), lost("e2", "pinecone")))
    requests = sensor.tick()
    assert len(requests) == 1, sensor.skipped
    done = sensor.start(requests[0])
    assert done.success
    assert done.output_for_node("rebuild") == {
        "milvus/words.v1": "g0003",
        "pinecone/words.v1": "g0003",
    }
    assert states(runs, OLD) == {"g0001": "proven", "g0003": "proven"}
    assert live(runs) == "g0003"
    assert memory(runs).pointed == _generation(runs)
    release = runs.platform.live_pointer("milvus").live()
    assert release is not None
    assert release.actor == "reindex_on_lost_recall"
    assert "recall 0.5 is below the floor of 0.9" in release.reason
    # The rebuilt generation is what the index asset now shows, under its model version.
    newest = runs.instance.fetch_materializations(
        dg.AssetRecordsFilter(MILVUS, asset_partitions=[OLD]), limit=1
    ).records[0]
    assert newest.asset_materialization is not None
    assert newest.asset_materialization.metadata["generation"].value == "g0003"


@pytest.mark.deep
def test_the_generation_before_the_live_one_is_kept_and_older_ones_are_collected(
    runs: Runs,
) -> None:
    runs.materialize([MILVUS], partition=OLD)
    runs.job(
        "promote",
        PromoteConfig(model_version=OLD, backends=["milvus"], actor="test", reason="a test"),
    )
    for _ in range(2):
        rebuild(runs, OLD, "milvus")
    assert live(runs) == "g0003"
    assert states(runs, OLD) == {"g0001": "dropped", "g0002": "proven", "g0003": "proven"}
    assert len(memory(runs).claims("documents")) == 2


@pytest.mark.deep
def test_a_rebuild_of_a_model_that_is_not_live_moves_no_pointer(runs: Runs) -> None:
    runs.materialize([MILVUS], partition=OLD)
    runs.materialize([MILVUS], partition=NEW)
    config = PromoteConfig(model_version=OLD, backends=["milvus"], reason="a test")
    runs.job("promote", config)
    rebuild(runs, NEW, "milvus")
    assert live(runs) == "g0001"
    assert states(runs, NEW)["g0003"] == "proven"


def test_a_rebuild_on_a_backend_that_is_not_configured_fails_before_it_builds(runs: Runs) -> None:
    with pytest.raises(RunFailed, match="elsewhere"):
        rebuild(runs, OLD, "elsewhere")
    assert states(runs, OLD) == {}


# -- repair ---------------------------------------------------------------------------------


def lose_rows(runs: Runs, generation: Any, count: int) -> None:
    """Rows vanish from an index behind the platform's back."""
    rows = memory(runs).rows(generation)
    for key in sorted(rows)[:count]:
        del rows[key]
    memory(runs).damaged(generation)


def add_rows(runs: Runs, generation: Any, count: int) -> None:
    """Rows appear in an index behind the platform's back."""
    rows = memory(runs).rows(generation)
    (tenant, row_id), row = min(rows.items(), key=lambda item: item[0])
    for number in range(count):
        rows[tenant, f"{row_id}/{number}"] = row | {"id": f"{row_id}/{number}"}
    memory(runs).damaged(generation)


def check(
    runs: Runs,
    backend: str = "milvus",
    model_version: str = OLD,
    *,
    name: str = checks.PARITY,
) -> bool:
    """Run a check alone, in a run of its own, and return its verdict."""
    key = dg.AssetCheckKey(dg.AssetKey([backend, "documents"]), name)
    selection = dg.AssetSelection.checks(key)
    job = dg.define_asset_job("check_index", selection=selection).resolve(
        asset_graph=runs.definitions.resolve_asset_graph()
    )
    done = job.execute_in_process(
        instance=runs.instance,
        resources={"platform": runs.platform},
        # Not `partition_key`: that asks the assets of a job for their partitions, and it has none.
        tags={"dagster/partition": model_version},
    )
    (evaluation,) = done.get_asset_check_evaluations()
    return evaluation.passed


def repair(runs: Runs, backend: str = "milvus", **config: Any) -> dict[str, list[int]]:
    """Model version -> rows rewritten, of each generation."""
    done = runs.job(f"repair_{backend}", RepairConfig(**config)).output
    return {model: [facts["rows_upserted"] for facts in each] for model, each in done.items()}


def test_a_repair_job_mends_what_a_check_has_found_and_nothing_else(runs: Runs) -> None:
    runs.materialize([MILVUS], partition=OLD)
    lose_rows(runs, _generation(runs), 3)
    assert not check(runs)
    assert repair(runs, model_version=OLD) == {OLD: [3]}
    key = dg.AssetCheckKey(MILVUS, checks.PARITY)
    newest = newest_results(runs.instance, [key], partition=OLD)[key]
    assert (newest.passed, newest.partition, newest.metadata["rows_actual"]) == (True, OLD, CHUNKS)
    assert check(runs)
    assert memory(runs).count(_generation(runs)) == CHUNKS


@pytest.mark.deep
def test_a_repair_takes_every_model_of_its_backend(runs: Runs) -> None:
    both = [keys.index(name, runs.platform.settings) for name in ("milvus", "pinecone")]
    for model_version in (OLD, NEW):
        runs.materialize(both, partition=model_version)
    lose_rows(runs, _generation(runs), 1)
    assert repair(runs, "pinecone") == {OLD: [0], NEW: [0]}
    assert repair(runs) == {OLD: [1], NEW: [0]}


def test_a_repair_deletes_no_more_than_it_may(runs: Runs) -> None:
    runs.materialize([MILVUS], partition=OLD)
    add_rows(runs, _generation(runs), 4)
    with pytest.raises(RunFailed, match="--allow-delete 4"):
        repair(runs, model_version=OLD)
    assert memory(runs).count(_generation(runs)) == CHUNKS + 4
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
    seen_by_readers = _generation(runs)
    runs.platform.index_sync("milvus", run_id="test").build(OLD)
    assert (live(runs), _generation(runs).name) == ("g0001", "g0002")
    lose_rows(runs, seen_by_readers, 2)
    assert not check(runs)
    assert repair(runs, model_version=OLD) == {OLD: [2, 0]}
    assert check(runs)


# -- retries --------------------------------------------------------------------------------


@pytest.mark.usefixtures("at_once")
def test_a_lost_connection_is_tried_again_and_succeeds(runs: Runs) -> None:
    memory(runs).fuse.reset(blow_at=3)
    done = runs.materialize([MILVUS], partition=OLD)
    assert tries(runs) == 1
    assert done.metadata["milvus/documents"]["rows"] == CHUNKS
    assert list(states(runs, OLD).values()) == ["proven"]


@pytest.mark.usefixtures("at_once")
def test_a_server_that_stays_away_is_given_up_after_the_last_retry(
    runs: Runs, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(generation: object) -> None:
        from vector_platform.indexes.contract import IndexUnavailable

        raise IndexUnavailable("milvus does not answer")

    monkeypatch.setattr(memory(runs), "create", away)
    with pytest.raises(RunFailed, match="milvus does not answer"):
        runs.materialize([MILVUS], partition=OLD)
    assert tries(runs) == retries.RETRIES


@pytest.mark.usefixtures("at_once")
def test_a_source_that_cannot_be_reached_is_tried_again(runs: Runs) -> None:
    guides = runs.platform.settings.root / "golden" / "qrels.tsv"
    away = guides.with_suffix(".away")
    guides.rename(away)
    try:
        with pytest.raises(RunFailed, match="qrels"):
            runs.materialize([keys.GOLDEN_QUERIES])
        assert tries(runs) == retries.RETRIES
    finally:
        away.rename(guides)
    runs.materialize([keys.GOLDEN_QUERIES])
    assert tries(runs) == 0


@pytest.mark.usefixtures("at_once")
def test_what_needs_a_person_fails_at_once(runs: Runs) -> None:
    runs.materialize([MILVUS], partition=OLD)
    building.put(runs.platform.lake, delete=[f"guides:{n}#0" for n in range(5)])
    with pytest.raises(RunFailed, match="this would delete 5 of 12 rows"):
        runs.materialize([MILVUS], partition=OLD)
    assert tries(runs) == 0
    assert memory(runs).count(_generation(runs)) == CHUNKS


# -- what a person may say ------------------------------------------------------------------


def test_allow_delete_lets_that_many_deletes_through_and_no_more(runs: Runs) -> None:
    runs.materialize([MILVUS], partition=OLD)
    building.put(runs.platform.lake, delete=[f"guides:{n}#0" for n in range(5)])
    with pytest.raises(RunFailed, match="--allow-delete 5"):
        runs.materialize([MILVUS], partition=OLD, config=sync_config(allow_delete=4))
    done = runs.materialize([MILVUS], partition=OLD, config=sync_config(allow_delete=5))
    assert done.metadata["milvus/documents"]["rows_deleted"] == 5
    assert memory(runs).count(_generation(runs)) == CHUNKS - 5


def test_an_index_asset_tells_its_plan_beside_what_it_did(runs: Runs) -> None:
    told = runs.materialize([MILVUS], partition=OLD).metadata["milvus/documents"]
    assert (told["planned_rows_to_write"], told["rows_upserted"]) == (CHUNKS, CHUNKS)
    assert told["plan"]["tenants"] == {"acme": {"write": CHUNKS, "delete": 0}}
    assert told["plan"]["mode"] == "build"


@pytest.mark.deep
def test_chunks_without_vectors_reach_no_index_even_when_launched_by_hand(runs: Runs) -> None:
    runs.materialize([MILVUS], partition=OLD)
    building.put(runs.platform.lake, building.chunk("guides:new", "not embedded yet"))
    with pytest.raises(RunFailed):
        runs.materialize([MILVUS], partition=OLD)
    assert memory(runs).count(_generation(runs)) == CHUNKS


def test_an_index_that_was_damaged_fails_its_check_and_only_that(runs: Runs) -> None:
    runs.materialize([MILVUS], partition=OLD)
    generation = _generation(runs)
    memory(runs).rows(generation).pop(next(iter(memory(runs).rows(generation))))
    memory(runs).damaged(generation)
    done = runs.materialize([MILVUS], partition=OLD)
    assert done.failed_checks == ("milvus/documents:index_matches_lake",)


def test_a_damaged_index_is_shown_by_tenant_and_kind_and_says_who_mends_it(runs: Runs) -> None:
    building.put(runs.platform.lake, building.chunk("zoo:1", "a keeper", tenant="zoo"))
    building.embed(runs.platform.lake, OLD)
    runs.materialize([MILVUS], partition=OLD)
    generation = _generation(runs)
    lose_rows(runs, generation, 3)
    add_rows(runs, generation, 2)
    runs.materialize([MILVUS], partition=OLD)
    key = dg.AssetCheckKey(MILVUS, checks.PARITY)
    proven, damaged = (answer.metadata for answer in answers(runs.instance, key))
    assert pictures_of(proven) == {} and proven["what_happens"].startswith("Nothing")
    assert [size[0] for size in pictures_of(damaged).values()] == [640]
    assert "3 rows missing in the index; 2 rows unknown to the lake" in damaged["diagnosis"]
    assert damaged["diagnosis"].endswith("Tenants: acme.")
    assert "repair_on_divergence starts the job repair_milvus," in damaged["what_happens"]


def _generation(runs: Runs) -> Any:
    state = IndexStates(runs.platform.lake.index_state, "milvus", "documents").newest(OLD)
    assert state is not None
    return state.identity


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


def test_syncs_and_repairs_of_a_backend_are_in_its_pool_alone_and_a_rollback_is_in_none(
    runs: Runs,
) -> None:
    def pools(job: str) -> set[str]:
        nodes = runs.definitions.resolve_job_def(job).nodes
        return {pool for node in nodes for pool in node.definition.pools}

    graph = runs.definitions.resolve_asset_graph()
    for backend in ("milvus", "pinecone"):
        key = dg.AssetKey([backend, "documents"])
        pool = keys.index_pool(backend)
        assert pool in graph.get(key).pools
        assert pools(f"repair_{backend}") == {pool}
        assert pool not in pools("promote")
    assert pools("roll_back") == set()


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
