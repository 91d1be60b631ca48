"""Runs that sync an index: retries by type, the delete guard's way out, pools.

The lake is real, the backends are in memory, the runs are Dagster's own, in process.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import dagster as dg
import pytest

from vector_platform.orchestration import keys
from vector_platform.orchestration.launch import RunFailed, Runs
from vector_platform.orchestration.runs import retries
from vector_platform_tests.lake import building
from vector_platform_tests.orchestration.harness import OLD
from vector_platform_tests.orchestration.indexes.worlds import (
    CHUNKS,
    MILVUS,
    generation_of,
    memory,
    states,
)


def tries(runs: Runs) -> int:
    """How often the newest run asked for a retry."""
    run = runs.instance.get_runs(limit=1)[0]
    return len(runs.instance.all_logs(run.run_id, of_type=dg.DagsterEventType.STEP_UP_FOR_RETRY))


def sync_config(**config: Any) -> Mapping[str, Any]:
    return {"ops": {MILVUS.to_python_identifier(): {"config": config}}}


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
    assert memory(runs).count(generation_of(runs)) == CHUNKS


def test_allow_delete_lets_that_many_deletes_through_and_no_more(runs: Runs) -> None:
    runs.materialize([MILVUS], partition=OLD)
    building.put(runs.platform.lake, delete=[f"guides:{n}#0" for n in range(5)])
    with pytest.raises(RunFailed, match="--allow-delete 5"):
        runs.materialize([MILVUS], partition=OLD, config=sync_config(allow_delete=4))
    done = runs.materialize([MILVUS], partition=OLD, config=sync_config(allow_delete=5))
    assert done.metadata["milvus/documents"]["rows_deleted"] == 5
    assert memory(runs).count(generation_of(runs)) == CHUNKS - 5


def test_an_index_asset_tells_its_plan_beside_what_it_did(runs: Runs) -> None:
    told = runs.materialize([MILVUS], partition=OLD).metadata["milvus/documents"]
    assert (told["plan"]["rows_to_write"], told["rows_upserted"]) == (CHUNKS, CHUNKS)
    assert told["plan"]["tenants"] == {"acme": {"write": CHUNKS, "delete": 0}}
    assert told["plan"]["mode"] == "build"


@pytest.mark.deep
def test_chunks_without_vectors_reach_no_index_even_when_launched_by_hand(runs: Runs) -> None:
    runs.materialize([MILVUS], partition=OLD)
    building.put(runs.platform.lake, building.chunk("guides:new", "not embedded yet"))
    with pytest.raises(RunFailed):
        runs.materialize([MILVUS], partition=OLD)
    assert memory(runs).count(generation_of(runs)) == CHUNKS


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
