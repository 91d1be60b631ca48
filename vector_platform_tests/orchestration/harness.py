"""A tiny deployment and a clock: the real definitions, ticked and run without a daemon.

Belongs here: building that deployment, ticking its real automation conditions, and playing the
runs a tick asks for.

A *played* run writes what a real run writes to the instance (planned, materialised and checked
events under a run of its own, at a frozen time) without doing the work, so that hundreds of ticks
cost seconds. `orchestration/remediation/test_whole_way.py` executes the same requests for real.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any
from unittest import mock

import dagster as dg
import yaml
from dagster._core.definitions.asset_checks.asset_check_evaluation import (
    AssetCheckEvaluationTargetMaterializationData,
)
from dagster._core.definitions.automation_tick_evaluation_context import build_run_requests
from dagster._core.events import StepMaterializationData
from dagster._core.test_utils import freeze_time

from vector_platform.indexes.base import VectorIndex
from vector_platform.orchestration.build import build_definitions
from vector_platform.orchestration.partitions import follow_models
from vector_platform.settings import BackendName, Settings
from vector_platform.wiring import Platform, load_settings
from vector_platform_tests.indexes.memory_index import MemoryIndex
from vector_platform_tests.releases.deployment import SteadyTimer

# A Saturday noon, hours away from the daily ingest (03:15) and the nightly sweep (04:45).
NOON = datetime(2026, 1, 10, 12, tzinfo=UTC)
TICK = timedelta(seconds=30)
SECOND = timedelta(seconds=1)

STATIC = {"package": "wordllama", "kind": "static"}
OLD, NEW = "words.v1", "words.v2"
MODELS = {OLD: STATIC | {"max_tokens": 512}, NEW: STATIC | {"max_tokens": 128}}

STAGING = ("staging/stg_guides", "staging/stg_notices")
MARTS = ("marts/documents", "marts/relations")
PUBLISHED = ("lake/documents", "lake/relations")
INDEXES = ("milvus/documents", "pinecone/documents")
READERS = (*INDEXES, "quality/retrieval")

# How the daemon tags the runs that conditions ask for.
AUTOMATIC = {"dagster/from_automation_condition": "true"}

NOTICES = """\
id,title,body,at,team
p1,Parking,The north car park is closed for repairs.,2026-01-09T08:00:00Z,site
p2,Canteen,The canteen serves lunch from noon to two.,2026-01-09T09:00:00Z,people
"""
GUIDES = {
    "doors": "# Doors\n\nHold the badge against the reader until the light is green.\n",
    "printers": "# Printers\n\nSend the job, walk to any printer, and hold the badge to it.\n",
}
QUERIES = '{"_id": "q1", "text": "how to open a door with a badge"}\n'
JUDGEMENTS = "query-id\tcorpus-id\tscore\nq1\tdoors.md\t1\n"


def write_deployment(root: Path) -> Path:
    """Source files of the deployment: a CSV by day and a folder of Markdown compared as a whole."""
    (root / "guides").mkdir(parents=True)
    (root / "golden").mkdir()
    (root / "notices.csv").write_text(NOTICES, encoding="utf-8")
    for name, text in GUIDES.items():
        (root / "guides" / f"{name}.md").write_text(text, encoding="utf-8")
    (root / "golden" / "queries.jsonl").write_text(QUERIES, encoding="utf-8")
    (root / "golden" / "qrels.tsv").write_text(JUDGEMENTS, encoding="utf-8")
    return root


def settings_of(root: Path, **changes: Any) -> Settings:
    """Write `platform.yaml` in `root`, with top-level keys replaced, and read it."""
    fields = {"key": "id", "title": "title", "text": "body", "time": "at", "tenant": "team"}
    described: dict[str, Any] = {
        "start_date": "2026-01-01",
        "sources": {
            "notices": {"kind": "files", "path": "notices.csv", "fields": fields},
            "guides": {"kind": "files", "path": "guides/*.md"},
        },
        "golden_queries": {"badges": {"source": "guides", "kind": "beir", "path": "golden"}},
        "models": MODELS,
    }
    file = root / "platform.yaml"
    file.write_text(yaml.safe_dump(described | changes), encoding="utf-8")
    return load_settings(file, {})


class MemoryPlatform(Platform):
    """A platform whose backends are in memory; everything else is real."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        self.memory: dict[str, MemoryIndex] = {}
        self.timer = SteadyTimer()

    def target(self, backend: BackendName) -> VectorIndex:
        if backend not in self.memory:
            index = MemoryIndex(ids_are_global=backend == "milvus")
            index.backend = backend
            self.memory[backend] = index
        return self.memory[backend]


@dataclass(frozen=True)
class Request:
    """A run that a tick asked for, in words that are easy to compare.

    Attributes:
        assets: Asset keys, e.g. `lake/chunks`, sorted.
        partition: Partition of the run; None for unpartitioned assets.
    """

    assets: tuple[str, ...]
    partition: str | None

    @property
    def keys(self) -> list[dg.AssetKey]:
        return [dg.AssetKey.from_user_string(name) for name in self.assets]


def evaluate(
    definitions: dg.Definitions, instance: dg.DagsterInstance, cursor: Any, *, at: datetime | None
) -> tuple[list[Request], Any]:
    """One tick of the automation sensor: the runs it asks for, as the daemon forms them."""
    # The daemon asks for the model versions once a tick, dagster's tester once a node.
    model_versions = cache(instance.get_dynamic_partitions)
    with mock.patch.object(instance, "get_dynamic_partitions", model_versions):
        result = dg.evaluate_automation_conditions(
            definitions, instance, evaluation_time=at, cursor=cursor
        )
    asked = build_run_requests(
        entity_subsets=list(result._requested_subsets),
        asset_graph=definitions.resolve_asset_graph(),
        run_tags={},
        emit_backfills=False,
    )
    requests = [
        Request(
            tuple(sorted(key.to_user_string() for key in request.asset_selection or ())),
            request.partition_key,
        )
        for request in asked
    ]
    return sorted(requests, key=lambda each: (each.assets, each.partition or "")), result.cursor


class PlayedRun:
    """A run that the instance believes in. Assets finish one by one, or all at once."""

    def __init__(self, automation: Automation, request: Request, *, automatic: bool) -> None:
        self._automation = automation
        self.request = request
        tags = {"dagster/partition": request.partition} if request.partition else {}
        if automatic:
            tags |= AUTOMATIC
        job = automation.definitions.resolve_implicit_job_def_def_for_assets(request.keys)
        assert job is not None
        with automation.frozen():
            self.run = automation.instance.create_run_for_job(
                job_def=job.get_subset(asset_selection=set(request.keys)),
                asset_selection=set(request.keys),
                tags=tags,
                status=dg.DagsterRunStatus.STARTED.value,
            )

    def materialise(self, *names: str, failed: Collection[str] = ()) -> None:
        """Materialise assets of the run; their checks pass, but for the `failed` ones."""
        for name in names:
            key = dg.AssetKey.from_user_string(name)
            self._write(
                dg.DagsterEventType.ASSET_MATERIALIZATION,
                StepMaterializationData(
                    dg.AssetMaterialization(key, partition=self.request.partition)
                ),
            )
            self.check(name, failed=failed)

    def check(self, name: str, *, failed: Collection[str] = ()) -> None:
        """Evaluate the checks of an asset."""
        key = dg.AssetKey.from_user_string(name)
        newest = self._automation.instance.fetch_materializations(
            dg.AssetRecordsFilter(
                asset_key=key,
                asset_partitions=[self.request.partition] if self.request.partition else None,
            ),
            limit=1,
        ).records[0]
        target = AssetCheckEvaluationTargetMaterializationData(
            storage_id=newest.storage_id, run_id=newest.run_id, timestamp=newest.timestamp
        )
        graph = self._automation.definitions.resolve_asset_graph()
        for check in sorted(graph.get_check_keys_for_assets({key}), key=lambda key: key.name):
            node = graph.get(check)
            self._write(
                dg.DagsterEventType.ASSET_CHECK_EVALUATION,
                dg.AssetCheckEvaluation(
                    asset_key=key,
                    check_name=check.name,
                    passed=check.name not in failed,
                    blocking=node.blocking,
                    target_materialization_data=target,
                    partition=self.request.partition if node.partitions_def else None,
                ),
            )

    def end(self, *, success: bool = True) -> None:
        """End the run."""
        if success:
            self._write(dg.DagsterEventType.RUN_SUCCESS, None)
        else:
            with self._automation.frozen():
                self._automation.instance.report_run_failed(self.run)

    def _write(self, kind: dg.DagsterEventType, data: Any) -> None:
        event = dg.DagsterEvent(
            event_type_value=kind.value,
            job_name=self.run.job_name,
            event_specific_data=data,
        )
        with self._automation.frozen():
            self._automation.instance.report_dagster_event(
                event, self.run.run_id, timestamp=self._automation.now.timestamp()
            )


class Automation:
    """The automation sensor of a deployment, ticked by hand at a time of its own."""

    def __init__(
        self,
        settings: Settings,
        *,
        instance: dg.DagsterInstance | None = None,
        now: datetime = NOON,
    ) -> None:
        self.instance = instance or dg.DagsterInstance.ephemeral()
        self.now = now
        self._cursor: Any = None
        self.reload(settings)

    def reload(self, settings: Settings) -> None:
        """Load the code location again, as an edit of `platform.yaml` does. The cursor stays."""
        self.settings = settings
        self.definitions = build_definitions(settings=settings)
        follow_models(Platform(settings), self.instance)

    def tick(self, *, at: datetime | None = None) -> list[Request]:
        """One tick, half a minute after the last event, or at a given time."""
        self.now = at or self.now + TICK
        with self.frozen():
            requests, self._cursor = evaluate(
                self.definitions, self.instance, self._cursor, at=self.now
            )
        return requests

    def start(self, request: Request, *, automatic: bool = True) -> PlayedRun:
        """Start a run: one that a tick asked for, or that somebody else did."""
        return PlayedRun(self, request, automatic=automatic)

    def play(
        self, request: Request, *, failed: Collection[str] = (), automatic: bool = True
    ) -> None:
        """A whole run: its assets in the order of the graph, their checks, the end.

        A failed blocking check ends it before the assets that depend on it, as in a real run.
        """
        graph = self.definitions.resolve_asset_graph()
        run = self.start(request, automatic=automatic)
        stopped: set[dg.AssetKey] = set()
        order = [key for level in graph.toposorted_asset_keys_by_level for key in sorted(level)]
        for key in order:
            if key not in request.keys:
                continue
            if stopped & graph.get(key).parent_keys:
                stopped.add(key)
                continue
            run.materialise(key.to_user_string(), failed=failed)
            blocking = {
                check.name
                for check in graph.get_check_keys_for_assets({key})
                if graph.get(check).blocking
            }
            if blocking & set(failed):
                stopped.add(key)
        run.end(success=not stopped)

    def land(self, day: str, *sources: str) -> None:
        """Land a day of sources (all by default), as the job `ingest_day` does."""
        names = sources or tuple(self.settings.sources)
        self.play(Request(tuple(f"raw/{name}" for name in sorted(names)), day), automatic=False)

    def demo(self) -> None:
        """Everything brought up to date by runs of the command line, stage by stage."""
        self.land("2026-01-09")
        by_hand = [
            Request(tuple(sorted({*STAGING, *MARTS, *PUBLISHED})), None),
            Request(("lake/chunks",), None),
            Request(("lake/golden_queries",), None),
        ]
        for model_version in self.settings.active_models:
            by_hand += [
                Request(("lake/embeddings", *INDEXES), model_version),
                Request(("quality/retrieval",), model_version),
            ]
        for request in by_hand:
            self.play(request, automatic=False)

    def settle(self) -> list[list[Request]]:
        """Tick and play until a tick asks for nothing. Returns what each tick asked for.

        Raises:
            AssertionError: It never settles: the automation is chasing its own tail.
        """
        asked: list[list[Request]] = []
        while requests := self.tick():
            asked.append(requests)
            assert len(asked) < 10, f"still asking after 10 ticks: {asked}"
            for request in requests:
                self.play(request)
        return asked

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """Dagster's clock, stopped; every use is a second later than the one before."""
        self.now += SECOND
        with freeze_time(self.now):
            yield


def asked_for(rounds: list[list[Request]]) -> list[tuple[str, str | None]]:
    """(asset, partition) in the order in which they were asked for."""
    return [
        (name, request.partition)
        for requests in rounds
        for request in requests
        for name in request.assets
    ]
