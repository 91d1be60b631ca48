"""Rebuilds of indexes: after drift, of a model that is live or not.

The lake is real, the backends are in memory, the runs are Dagster's own, in process.
"""

from __future__ import annotations

import dagster as dg
import pytest

from vector_platform.orchestration import keys
from vector_platform.orchestration.launch import RunFailed, Runs
from vector_platform.orchestration.releases.jobs import PromoteConfig
from vector_platform.orchestration.remediation.jobs import IndexTarget, ReindexConfig
from vector_platform.remediation import checks
from vector_platform_tests.orchestration.harness import NEW, OLD
from vector_platform_tests.orchestration.indexes.worlds import (
    MILVUS,
    generation_of,
    live,
    memory,
    promote,
    states,
)
from vector_platform_tests.orchestration.verdicts import (
    Says,
    Sensor,
    lost,
    run_checks,
    well,
)


def rebuild(runs: Runs, model_version: str, backend: str) -> None:
    target = IndexTarget(model_version=model_version, backends=[backend])
    runs.job("reindex", ReindexConfig(targets=[target], reason="a test"))


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
    built = done.output_for_node("rebuild")
    assert {name: one["generation"] for name, one in built.items()} == {
        "milvus/words.v1": "g0003",
        "pinecone/words.v1": "g0003",
    }
    assert all(one["release"]["moved"] for one in built.values())
    assert states(runs, OLD) == {"g0001": "proven", "g0003": "proven"}
    assert live(runs) == "g0003"
    assert memory(runs).pointed == generation_of(runs)
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
