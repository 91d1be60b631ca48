"""What tests of runs on indexes do to them: twelve embedded chunks under two model versions.

Belongs here: launching a job as a person would, and damaging an index behind the platform's back.
"""

from __future__ import annotations

from typing import Any

import dagster as dg

from vector_platform.indexes.state import IndexStates
from vector_platform.orchestration.indexes.jobs import RepairConfig
from vector_platform.orchestration.launch import Runs
from vector_platform.orchestration.releases.jobs import PromoteConfig
from vector_platform.remediation import checks
from vector_platform_tests.indexes.memory_index import MemoryIndex
from vector_platform_tests.orchestration.harness import OLD

CHUNKS = 12
MILVUS = dg.AssetKey(["milvus", "documents"])


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


def memory(runs: Runs) -> MemoryIndex:
    index = runs.platform.target("milvus")
    assert isinstance(index, MemoryIndex)
    return index


def generation_of(runs: Runs) -> Any:
    state = IndexStates(runs.platform.lake.index_state, "milvus", "documents").newest(OLD)
    assert state is not None
    return state.identity


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
