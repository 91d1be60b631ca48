"""What releases of one index on one backend are measured, judged and decided with.

Belongs here: the one value that `wiring` makes, and every part of the release service takes.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from vector_platform.indexes.base import VectorIndex
from vector_platform.indexes.state import GenerationState
from vector_platform.indexes.sync.sync import IndexSync
from vector_platform.lake.decisions import Clock, utc_now
from vector_platform.lake.lake import Lake
from vector_platform.lake.snapshots import Snapshot
from vector_platform.quality.recall.index_queries import IndexQueries
from vector_platform.quality.recall.index_recall import Timer
from vector_platform.releases.evaluation.probes import Probes
from vector_platform.releases.pointer.cutover import Cutover
from vector_platform.releases.pointer.live import LivePointer
from vector_platform.settings import Releases


@dataclass(frozen=True)
class ReleaseContext:
    """What releases of one index on one backend work with.

    Attributes:
        lake: Where requests, decisions and evaluations are.
        pointer: The live pointer.
        target: The backend.
        sync: Its sync.
        index: Logical index.
        policy: Gates' bars, approvals, and how long evidence holds.
        metric: Metric by which models are compared.
        recall_floor: Least recall of a generation.
        recall_queries: Queries that the recall of a generation is measured with, over a snapshot.
        probes: Queries under a model version that latency is compared with.
        run_id: Recorded with everything.
        clock: When it is.
        timer: How long a search takes.
    """

    lake: Lake
    pointer: LivePointer
    target: VectorIndex
    sync: IndexSync
    index: str
    policy: Releases
    metric: str
    recall_floor: float
    recall_queries: Callable[[GenerationState, Snapshot], IndexQueries]
    probes: Probes
    run_id: str
    clock: Clock = utc_now
    timer: Timer = time.perf_counter

    @property
    def backend(self) -> str:
        """Name of the backend."""
        return self.target.backend

    @property
    def cutover(self) -> Cutover:
        """What moves the pointer."""
        return Cutover(self.pointer, self.target, self.sync)
