"""A deployment with a release service: what tests of releases through Dagster share.

Belongs here: `Service`, its jobs, ticks and requests.
"""

from __future__ import annotations

import copy
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from vector_platform.indexes.contract import IndexUnavailable
from vector_platform.orchestration.launch import Runs
from vector_platform.orchestration.releases.jobs import (
    ApproveConfig,
    PromoteConfig,
    RejectConfig,
    ShowConfig,
)
from vector_platform.orchestration.remediation.jobs import IndexTarget, ReindexConfig
from vector_platform.releases.requests.requests import ReleaseRequest, ReleaseRequests
from vector_platform_tests.lake import building
from vector_platform_tests.orchestration.harness import NEW, OLD, MemoryPlatform, settings_of

MILVUS = dg.AssetKey(["milvus", "documents"])
ONLY_MILVUS = {"milvus": {"uri": "local"}, "pinecone": None}
FROZEN = [{"name": "audit", "first_day": "2020-01-01"}]


class Service:
    """A deployment with one backend; `OLD` is live and `NEW` is indexed.

    Args:
        root: Of the deployment.
        folder: Of the lake.
        made: One that nothing was done with since; copied, without what its instance has seen.
    """

    def __init__(self, root: Path, folder: Path, *, made: Service | None = None) -> None:
        self.root = root
        self.folder = folder
        self.instance = dg.DagsterInstance.ephemeral()
        self.memory: Any = None
        if made is not None:
            shutil.copytree(made.folder / "lake", folder / "lake")
            self.memory = copy.deepcopy(made.memory)
        self.policy()
        if made is None:
            self._fill()

    def _fill(self) -> None:
        lake = self.runs.platform.lake
        building.put(lake, *(building.chunk(f"guides:{n}", f"text {n}") for n in range(12)))
        for model_version in (OLD, NEW):
            building.embed(lake, model_version)
            self.runs.materialize([MILVUS], partition=model_version)
        self.promote(OLD)

    def policy(self, **releases: Any) -> None:
        """Load the deployment again under another policy; lake, backend and instance stay."""
        settings = settings_of(self.root, indexes=ONLY_MILVUS, releases=releases)
        platform = MemoryPlatform(settings)
        platform.lake = building.open_lake(self.folder)
        if self.memory is not None:
            platform.memory = self.memory
        self.memory = platform.memory
        self.runs = Runs(platform, instance=self.instance)

    def promote(self, model: str, **config: Any) -> dict[str, Any]:
        asked = PromoteConfig(model_version=model, **{"actor": "dan", "reason": "a test", **config})
        done = self.runs.job("promote", asked)
        told: dict[str, Any] = done.output["milvus"]
        return told

    def decide(self, verb: str, request_id: str, actor: str, **config: Any) -> dict[str, Any]:
        kind = ApproveConfig if verb == "approve" else RejectConfig
        asked = kind(request_id=request_id, actor=actor, reason="because", **config)
        done = self.runs.job(f"{verb}_release", asked)
        told: dict[str, Any] = done.output[request_id]
        return told

    def shown(self, request_id: str = "") -> tuple[dict[str, Any], dict[str, str]]:
        """What `show_releases` says: facts, and reports as the UI has them; by request."""
        config = dg.RunConfig({"show_op": ShowConfig(request_id=request_id)})
        done = self.runs.definitions.resolve_job_def("show_releases").execute_in_process(
            instance=self.instance, run_config=config
        )
        (output,) = (e.step_output_data for e in done.all_events if e.is_successful_output)
        reports = {name: str(value.value) for name, value in output.metadata.items()}
        return done.output_for_node("show_op"), reports

    def tick(self, name: str) -> list[dg.RunRequest]:
        """One tick of a sensor."""
        sensor = self.runs.definitions.resolve_sensor_def(name)
        context = dg.build_sensor_context(
            instance=self.instance, resources={"platform": self.runs.platform}
        )
        return list(sensor.evaluate_tick(context).run_requests or [])

    def run(self, job: str, request: dg.RunRequest, *, raise_on_error: bool = True) -> Any:
        """Execute what a tick asked for."""
        return self.runs.definitions.resolve_job_def(job).execute_in_process(
            instance=self.instance, run_config=request.run_config, raise_on_error=raise_on_error
        )

    def rebuild(self) -> None:
        """Build the live model's index anew and ask for its release, as a sensor does."""
        config = ReindexConfig(
            targets=[IndexTarget(model_version=OLD)],
            actor="reindex_on_lost_recall",
            reason="a test",
            automatic=True,
        )
        self.runs.job("reindex", config)

    def move_on(self) -> None:
        """One more content in the lake, under both model versions."""
        lake = self.runs.platform.lake
        building.put(lake, building.chunk("guides:new", "a text that came later"))
        for model_version in (OLD, NEW):
            building.embed(lake, model_version)

    @contextmanager
    def away(self) -> Iterator[None]:
        """The backend answers nothing for a while."""

        def no_answer(*args: Any, **kwargs: Any) -> Any:
            raise IndexUnavailable("no answer")

        with pytest.MonkeyPatch.context() as patched:
            for name in ("keys", "search", "upsert"):
                patched.setattr(self.memory["milvus"], name, no_answer)
            yield

    def live(self) -> str:
        return self.runs.platform.live_pointer("milvus").live_generation().generation

    def requests(self) -> list[ReleaseRequest]:
        return ReleaseRequests(self.runs.platform.lake).all()
