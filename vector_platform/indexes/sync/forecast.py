"""What a sync would cost, before it happens.

Belongs here: counts by tenant, bytes, requests and an estimate of time from this deployment's own
history.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from vector_platform.indexes.sync.context import SyncContext
from vector_platform.indexes.sync.decision import Decision, Mode
from vector_platform.lake.lake import Lake
from vector_platform.lake.snapshots import Snapshot

# Rows whose text is measured to estimate the bytes of all.
SAMPLED_ROWS = 1000
FLOAT_BYTES = 4


@dataclass(frozen=True)
class Forecast:
    """What a sync would write and delete.

    Attributes:
        model_version: Whose index.
        generation: The generation it would touch; None when it would build a new one.
        mode: As in `sync.SyncReport`.
        reason: Why that mode.
        snapshot: What the index would be equal to.
        upserts: Rows to write, by tenant.
        deletes: Rows to delete, by tenant.
        bytes: Vectors and texts to send, estimated from a sample of rows.
        requests: Write and delete requests.
        seconds: Estimate from this index's recent syncs, proof included; None without any.
    """

    model_version: str
    generation: str | None
    mode: Mode
    reason: str
    snapshot: Snapshot
    upserts: dict[str, int]
    deletes: dict[str, int]
    bytes: int
    requests: int
    seconds: float | None

    def facts(self) -> dict[str, Any]:
        """Numbers first, for metadata and JSON."""
        return {
            "rows_to_write": sum(self.upserts.values()),
            "rows_to_delete": sum(self.deletes.values()),
            "size_bytes": self.bytes,
            "requests": self.requests,
            "estimated_seconds": self.seconds,
            "mode": self.mode,
            "reason": self.reason,
            "model_version": self.model_version,
            "generation": self.generation,
            "snapshot": str(self.snapshot),
            "tenants": {
                tenant: {
                    "write": self.upserts.get(tenant, 0),
                    "delete": self.deletes.get(tenant, 0),
                }
                for tenant in sorted({*self.upserts, *self.deletes})
            },
        }


def forecast(
    context: SyncContext,
    decision: Decision,
    *,
    model_version: str,
    dimension: int,
    generation: str | None,
) -> Forecast:
    """Count what a decided sync would do. Reads the lake, writes nothing.

    A model version that nothing is embedded under yet can be forecast, too: an index has a row
    for every chunk, and what a vector weighs follows from its dimension.

    Args:
        context: Where rows would come from, and whose history tells the speed.
        decision: What is to be done.
        model_version: Whose index.
        dimension: Length of its vectors.
        generation: Generation that would be touched, if it exists.
    """
    lake, batch_rows = context.lake, context.batch_rows
    plan, snapshot = decision.plan, decision.snapshot
    if plan is not None:
        upserts, deletes = _by_tenant([plan.upserts]), _by_tenant([plan.deletes])
    elif decision.mode == "build":
        tenants = lake.chunks.batches(["tenant"], version=snapshot.chunks)
        upserts, deletes = _by_tenant(tenants), {}
    else:
        upserts, deletes = {}, {}
    writes, removals = sum(upserts.values()), sum(deletes.values())
    speed = context.states.speed() if writes or removals else None
    return Forecast(
        model_version=model_version,
        generation=generation,
        mode=decision.mode,
        reason=decision.reason,
        snapshot=snapshot,
        upserts=upserts,
        deletes=deletes,
        bytes=writes * _row_bytes(lake, dimension) if writes else 0,
        requests=math.ceil(writes / batch_rows) + math.ceil(removals / batch_rows),
        seconds=round((writes + removals) / speed, 1) if speed else None,
    )


def _by_tenant(batches: Iterable[pa.RecordBatch | pa.Table]) -> dict[str, int]:
    counts: Counter[str] = Counter()
    for batch in batches:
        counts.update(batch.column("tenant").to_pylist())
    return dict(sorted(counts.items()))


def _row_bytes(lake: Lake, dimension: int) -> int:
    """Mean size of a row: its vector, and the text and attributes of the first rows read."""
    sampled, size = 0, 0
    for batch in lake.chunks.batches(["title", "text", "attributes"], batch_rows=SAMPLED_ROWS):
        sampled, size = batch.num_rows, batch.nbytes
        break
    return dimension * FLOAT_BYTES + (size // sampled if sampled else 0)
