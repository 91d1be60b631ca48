"""A small deployment for release tests: a real lake, indexes in memory, real pointers.

Belongs here: building states and evaluations.
"""

from __future__ import annotations

import copy
import shutil
from datetime import datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from vector_platform.indexes.state import GenerationState
from vector_platform.indexes.sync.sync import IndexSync
from vector_platform.lake.contract import EVALUATIONS, canonical_json
from vector_platform.lake.lake import Lake
from vector_platform.lake.snapshots import Snapshot
from vector_platform.quality.recall.index_queries import IndexQueries, stored_queries
from vector_platform.quality.recall.index_recall import Timer
from vector_platform.releases.evaluation.context import ReleaseContext
from vector_platform.releases.evaluation.probes import Probe
from vector_platform.releases.pointer.live import LivePointer
from vector_platform.releases.requests.service import ReleaseService
from vector_platform.settings import BackendName, Releases
from vector_platform_tests.indexes.memory_index import MemoryIndex
from vector_platform_tests.lake.building import START, chunk, embed, open_lake, put
from vector_platform_tests.syncing import index_sync

MODELS = ("old.v1", "new.v1")


class SteadyTimer:
    """Every reading is a millisecond after the one before: latencies that no machine decides."""

    def __init__(self) -> None:
        self._readings = count()

    def __call__(self) -> float:
        return next(self._readings) / 1000


class Deployment:
    """Two model versions over a few chunks, and any number of backends."""

    def __init__(self, folder: Path, documents: int = 12) -> None:
        self._folder = folder
        self.lake: Lake = open_lake(folder)
        self.targets: dict[str, MemoryIndex] = {}
        self.now = START
        self.wait_seconds = 60.0
        # Every search takes a millisecond, unless a test says otherwise.
        self.timer: Timer = SteadyTimer()
        # When generations count as built; None for when they were.
        self.built_at: datetime | None = None
        self.put(*(f"s:{number}" for number in range(documents)))

    def copy(self, folder: Path) -> Deployment:
        """The same lake and indexes once more, at the same time."""
        shutil.copytree(self._folder, folder, dirs_exist_ok=True)
        other = copy.copy(self)
        other._folder, other.lake = folder, open_lake(folder)
        other.targets = copy.deepcopy(self.targets)
        other.timer = SteadyTimer()
        return other

    def put(self, *doc_ids: str, text: str = "text of", delete: tuple[str, ...] = ()) -> None:
        rows = [chunk(doc_id, f"{text} {doc_id}") for doc_id in doc_ids]
        put(self.lake, *rows, delete=[f"{doc_id}#0" for doc_id in delete])
        for model in MODELS:
            embed(self.lake, model)

    def target(self, backend: BackendName = "milvus") -> MemoryIndex:
        if backend not in self.targets:
            self.targets[backend] = MemoryIndex()
            self.targets[backend].backend = backend
        return self.targets[backend]

    def sync(self, backend: BackendName = "milvus") -> IndexSync:
        return index_sync(
            self.lake, self.target(backend), self._folder, wait_seconds=self.wait_seconds
        )

    def probes(self, model: str) -> list[Probe]:
        """Every stored vector as a query."""
        rows = self.lake.index_rows(model, self.lake.snapshot())
        return [
            Probe(row["id"], row["text"], np.asarray(row["vector"], np.float32), row["tenant"])
            for batch in rows
            for row in batch.to_pylist()
        ]

    def recall_queries(self, state: GenerationState, snapshot: Snapshot) -> IndexQueries:
        """Stored vectors alone, since there are no golden queries here."""
        built_at = self.built_at or state.created_at
        return stored_queries(self.lake, state.model_version, snapshot, built_at=built_at)

    def service(self, backend: BackendName = "milvus", **policy: Any) -> ReleaseService:
        """The release service under a policy, at the deployment's own time."""
        context = ReleaseContext(
            self.lake,
            self.pointer(backend),
            self.target(backend),
            self.sync(backend),
            index="documents",
            policy=Releases(**policy),
            metric="nDCG@10",
            recall_floor=0.9,
            recall_queries=self.recall_queries,
            probes=self.probes,
            run_id="run",
            clock=self.clock,
            timer=self.timer,
        )
        return ReleaseService(context)

    def clock(self) -> datetime:
        """A second later each time, from whatever `now` was set to."""
        self.now += timedelta(seconds=1)
        return self.now

    def pointer(self, backend: BackendName = "milvus", **keep: int) -> LivePointer:
        return LivePointer(self.lake, backend, "documents", **keep)

    def served(self, backend: BackendName = "milvus") -> set[str]:
        """Ids that readers of the live generation can find."""
        live = self.pointer(backend).live_generation()
        return {row_id for _, row_id in self.target(backend).rows(live.identity)}

    def evaluate(
        self, model: str, *scores: float, round_number: int = 1, judged: str = "as always"
    ) -> None:
        """Record an evaluation with these scores, one a query; `judged` is every judgement."""
        by_query = {f"q{number:03d}": score for number, score in enumerate(scores)}
        details = {
            "scores": by_query,
            "judgements": dict.fromkeys(by_query, judged),
            "answers": dict.fromkeys(by_query, model),
            "seen": [],
        }
        row = {
            "evaluation_id": f"{model}-{round_number}",
            "kind": "retrieval",
            "subject": "golden_queries",
            "model_version": model,
            "metric": "nDCG@10",
            "value": sum(scores) / len(scores),
            "sample_size": len(scores),
            "chunks_version": self.lake.chunks.version(),
            "details": canonical_json(details),
            "run_id": "run",
            "evaluated_at": START + timedelta(hours=round_number),
        }
        self.lake.evaluations.append(pa.Table.from_pylist([row], schema=EVALUATIONS.schema))
