"""Words that tests of acting sensors share: what is measured, what is done, what is decided.

Belongs here: what more than one of `test_acting_*.py` uses.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

import dagster as dg
import pytest
from dagster._core.storage.tags import RUN_KEY_TAG

from vector_platform.indexes.contract import IndexUnavailable
from vector_platform.indexes.state import IndexStates
from vector_platform.lake.decisions import Decision, Decisions
from vector_platform.models.local_versions import keep_model, write_card
from vector_platform.orchestration.runs.retries import retry_by_type
from vector_platform.releases.requests.requests import ReleaseRequest, ReleaseRequests
from vector_platform.remediation import checks
from vector_platform.remediation.faults import Action, Kind
from vector_platform_tests.indexes.memory_index import MemoryIndex
from vector_platform_tests.orchestration.harness import OLD, STATIC, MemoryPlatform
from vector_platform_tests.orchestration.verdicts import (
    BACKENDS,
    Says,
    lost,
    measured,
    moved,
    moved_slices,
    well,
    worse,
)

MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)
REINDEX = "reindex_on_lost_recall"
REPAIR = "repair_on_divergence"
REEMBED = "reembed_on_changed_model"
RETRAIN = "retrain_on_fallen_quality"
RECALIBRATE = "recalibrate_on_drift"
QUARANTINE = "quarantine_on_moved_slice"
FOREVER = [{"name": "year end", "first_day": "2020-01-01"}]
GUIDES = {
    "tenant": "acme",
    "source": "guides",
    "since": "2026-03-09",
    "novel_share_low": 0.3,
    "acts": True,
}

World = Callable[..., MemoryPlatform]


@dataclass(frozen=True)
class Fault:
    """A fault that a sensor answers with a run.

    Attributes:
        sensor: The sensor.
        action: What it does, by the name of its policy.
        measured: (evaluation, model version, backend) -> checks of one run that show the fault.
        part: What of the model version is affected, as its scope says it.
    """

    sensor: str
    action: Action
    measured: Callable[[str, str, str], list[Says]]
    part: str = ""

    def says(self, evaluation: str, model: str = OLD, backend: str = "milvus") -> list[Says]:
        """What the checks answer: the same measurement by the same id."""
        return self.measured(f"{evaluation} {model} {backend}", model, backend)

    @property
    def backends(self) -> tuple[str, ...]:
        """Where it can show at once, in one model version."""
        return BACKENDS if self.part == "milvus" else ("milvus",)


FAULTS: dict[Kind, Fault] = {
    "model_changed": Fault(
        REEMBED,
        "propose_version",
        lambda evaluation, model, backend: [measured(checks.CANARY, evaluation)],
    ),
    "index_diverged": Fault(
        REPAIR,
        "repair",
        lambda evaluation, model, backend: [measured(checks.PARITY, evaluation, backend)],
        "milvus",
    ),
    "recall_lost": Fault(
        REINDEX,
        "rebuild",
        lambda evaluation, model, backend: [lost(evaluation, backend)],
        "milvus",
    ),
    "index_churned": Fault(
        REINDEX,
        "rebuild",
        lambda evaluation, model, backend: [
            measured(checks.RECALL, evaluation, backend, passed=True, deleted_share=0.5)
        ],
        "milvus",
    ),
    "quality_fell": Fault(
        RETRAIN,
        "retrain",
        lambda evaluation, model, backend: [worse(evaluation, model)],
    ),
    "distribution_moved": Fault(
        RECALIBRATE,
        "accept_reference",
        # Evidence as new as the alarm: all of it from one run.
        lambda evaluation, model, backend: well(moved(evaluation)),
    ),
    "slice_moved": Fault(
        QUARANTINE,
        "quarantine_slice",
        lambda evaluation, model, backend: [moved_slices(evaluation, GUIDES)],
        "tenant acme source guides since 2026-03-09",
    ),
}
# Faults whose answer ends in a release request.
PROPOSED = [
    kind
    for kind, fault in FAULTS.items()
    if fault.action in ("rebuild", "retrain", "propose_version")
]
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


def run_that_fails(instance: dg.DagsterInstance, request: dg.RunRequest, error: Exception) -> None:
    """A run of a request that fails, as the jobs do by the type of an error."""

    @dg.op
    def work() -> None:
        with retry_by_type():
            raise error

    @dg.job
    def failing() -> None:
        work()

    tags = {**request.tags, RUN_KEY_TAG: str(request.run_key)}
    failing.execute_in_process(instance=instance, tags=tags, raise_on_error=False)


def asked_for(platform: MemoryPlatform, fault: Fault, at: datetime) -> ReleaseRequest:
    """The open release request that an answer to a fault of `OLD` ends in, without its run."""
    model = OLD
    if fault.action != "rebuild":
        model = f"{OLD}.new"
        made_by = "retrain" if fault.action == "retrain" else "reembed"
        keep_model(
            platform.data_dir,
            model,
            settings=STATIC,
            fill=lambda folder: write_card(folder, {"made_by": made_by, "of": OLD}),
        )
    return ReleaseRequests(platform.lake).save(
        ReleaseRequest.new(
            backend="milvus",
            index="documents",
            generation="g0003",
            model_version=model,
            requester=fault.sensor,
            automatic=True,
            reason="test",
            run_id="test",
            requested_at=at,
        )
    )


def break_milvus(platform: MemoryPlatform, monkeypatch: pytest.MonkeyPatch) -> MemoryIndex:
    def away(generation: object) -> None:
        raise IndexUnavailable("milvus does not answer")

    index = platform.target("milvus")
    assert isinstance(index, MemoryIndex)
    monkeypatch.setattr(index, "create", away)
    return index
