"""Words that tests of acting sensors share: what is measured, what is done, what is decided.

Belongs here: what more than one of `test_acting_*.py` uses. Does not belong here: assertions, or
fixtures (`conftest.py`).
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import dagster as dg
import pytest
from dagster._core.storage.tags import RUN_KEY_TAG

from vector_platform.indexes.contract import IndexUnavailable
from vector_platform.indexes.state import IndexStates
from vector_platform.orchestration import keys
from vector_platform.quality import faults
from vector_platform.releases.decisions import Decision, Decisions
from vector_platform_tests.indexes.memory_index import MemoryIndex
from vector_platform_tests.orchestration.harness import OLD, MemoryPlatform
from vector_platform_tests.orchestration.verdicts import (
    Says,
    lost,
    moved,
    moved_slices,
    well,
    worse,
)

HOUR = timedelta(hours=1)
REINDEX = "reindex_on_lost_recall"
REPAIR = "repair_on_divergence"
REEMBED = "reembed_on_changed_model"
RETRAIN = "retrain_on_fallen_quality"
RECALIBRATE = "recalibrate_on_drift"
QUARANTINE = "quarantine_on_moved_slice"
GUIDES = {
    "tenant": "acme",
    "source": "guides",
    "since": "2026-03-09",
    "new_mass_low": 0.3,
    "acts": True,
}

World = Callable[..., MemoryPlatform]

ANSWERED: dict[str, tuple[list[Says], str, str]] = {
    REPAIR: ([Says(keys.INDEX_MATCHES, False, "milvus")], "index_diverged", f"{OLD} milvus"),
    REINDEX: ([lost("e1")], "recall_lost", f"{OLD} milvus"),
    REEMBED: ([Says(faults.CANARY, False)], "model_changed", OLD),
    RETRAIN: ([worse("e1")], "quality_fell", OLD),
    # Evidence as new as the alarm: all of it from one run.
    RECALIBRATE: (well(moved("e1")), "distribution_moved", OLD),
    QUARANTINE: (
        [moved_slices("e1", GUIDES)],
        "slice_moved",
        f"{OLD} tenant acme source guides since 2026-03-09",
    ),
}
AUTO = {action: {"by": "auto"} for action in ("accept_reference", "quarantine_slice")}


def generations(platform: MemoryPlatform, backend: str, model_version: str) -> int:
    states = IndexStates(platform.lake.index_state, backend, "documents").all()
    return sum(
        state.model_version == model_version and state.status == "proven" for state in states
    )


def decided(platform: MemoryPlatform, what: str | None = None) -> list[Decision]:
    found = Decisions(platform.lake, run_id="test").about()
    return [decision for decision in found if what in (None, decision.what)]


def as_if_run(
    instance: dg.DagsterInstance,
    request: dg.RunRequest,
    status: dg.DagsterRunStatus = dg.DagsterRunStatus.SUCCESS,
) -> None:
    """A run of a request that has ended, without its work."""
    tags = {**request.tags, RUN_KEY_TAG: str(request.run_key)}
    instance.add_run(dg.DagsterRun(job_name="job", tags=tags, status=status))


def break_milvus(platform: MemoryPlatform, monkeypatch: pytest.MonkeyPatch) -> MemoryIndex:
    def away(generation: object) -> None:
        raise IndexUnavailable("milvus does not answer")

    index = platform.target("milvus")
    assert isinstance(index, MemoryIndex)
    monkeypatch.setattr(index, "create", away)
    return index
