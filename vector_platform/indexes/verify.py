"""Proof that an index equals a lake snapshot: every id and digest, and a sample of vectors.

Belongs here: reading an index back and comparing. Does not belong here: changing it. Counts and
ledgers prove nothing; the rows themselves are read, per tenant, through the path queries use.

`verify` reads all of an index, `verify_changes` what a sync has touched: what it wrote and what
it removed. The second costs what the change cost, and says nothing of damage elsewhere.
"""

from __future__ import annotations

import hashlib
import heapq
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import pyarrow as pa

from vector_platform.errors import VectorPlatformError
from vector_platform.indexes.base import VectorIndex
from vector_platform.indexes.contract import Generation, RowKey
from vector_platform.indexes.digest_sample import EVERY_DIGEST, DigestSample
from vector_platform.indexes.plan import Plan, compare
from vector_platform.indexes.rejected import without
from vector_platform.lake.lake import Lake, Snapshot

# Stored vectors are float32; a backend that normalises again moves them by a few ulp.
VECTOR_TOLERANCE = 1e-5
SAMPLED_VECTORS = 64


class IndexDiverged(VectorPlatformError):
    """An index differs from the lake even after a repair."""


@dataclass(frozen=True)
class Verification:
    """The outcome of reading an index back.

    Attributes:
        plan: The difference; empty when equal.
        snapshot: What it was compared with.
        vectors_compared: Sampled rows whose vectors were read back.
        vectors_differing: Ids among them whose vector is missing or differs.
        refused: Rows that the backend refuses, excused from the comparison.
        scope: Whether `all` rows were read back, or those that the sync `changes`.
    """

    plan: Plan
    snapshot: Snapshot
    vectors_compared: int
    vectors_differing: list[str] = field(default_factory=list)
    refused: int = 0
    scope: Literal["all", "changes"] = "all"

    @property
    def clean(self) -> bool:
        """Whether index and snapshot are equal."""
        return self.plan.empty and not self.vectors_differing

    def describe(self) -> str:
        """One line of counts."""
        touched = "of the rows touched, " if self.scope == "changes" else ""
        return (
            f"{touched}{self.plan.describe()}; "
            f"{len(self.vectors_differing)} of {self.vectors_compared} sampled vectors differ; "
            f"{self.refused} refused rows excused"
        )

    def facts(self) -> dict[str, Any]:
        """Numbers and samples for metadata and JSON."""
        return {
            "rows_desired": self.plan.desired,
            "rows_actual": self.plan.actual,
            "missing": self.plan.missing,
            "stale": self.plan.stale,
            "orphaned": self.plan.orphaned,
            "wrong_tenant": self.plan.moved,
            "duplicated": self.plan.duplicated,
            "digests_read": self.plan.digests_read,
            "vectors_compared": self.vectors_compared,
            "vectors_differing": len(self.vectors_differing),
            "refused": self.refused,
            "scope": self.scope,
            "snapshot": str(self.snapshot),
            "samples": {**self.plan.samples(), "vectors": self.vectors_differing[:10]},
        }


def verify(
    lake: Lake,
    target: VectorIndex,
    generation: Generation,
    snapshot: Snapshot,
    excused: Mapping[RowKey, str] | None = None,
    sample: DigestSample = EVERY_DIGEST,
) -> Verification:
    """Compare a generation with a snapshot. Reads only; memory is bounded by the difference.

    Rows that the backend has refused (`excused`, see `rejected.py`) are not expected in it. All
    ids are listed; digests are those of the `sample`, where a backend cannot read all for free.

    Vectors are sampled by the smallest hashes of their ids, so that the same rows are looked at
    every time and no run depends on chance.
    """
    desired = lake.index_keys(generation.model_version, snapshot)
    actual = target.scan(generation, sample=sample)
    return _verification(lake, target, generation, snapshot, desired, actual, excused, "all")


def verify_changes(
    lake: Lake,
    target: VectorIndex,
    generation: Generation,
    snapshot: Snapshot,
    *,
    now: pa.Table,
    before: pa.Table,
    excused: Mapping[RowKey, str] | None = None,
) -> Verification:
    """Compare the rows that changed with a snapshot: written as they are now, gone where not.

    Args:
        lake: Where desired state is.
        target: The backend.
        generation: What was synced.
        snapshot: What it was synced to.
        now: `INDEX_KEY` rows that changed, as they are in the snapshot.
        before: `INDEX_KEY` rows that changed, as they were.
        excused: Refused rows, see `verify`.
    """
    touched = pa.concat_tables([now, before]).group_by(["tenant", "id"]).aggregate([])
    rows = list(zip(touched["id"].to_pylist(), touched["tenant"].to_pylist(), strict=True))
    actual = target.find(generation, rows)
    desired = iter(now.to_batches())
    return _verification(lake, target, generation, snapshot, desired, actual, excused, "changes")


def _verification(
    lake: Lake,
    target: VectorIndex,
    generation: Generation,
    snapshot: Snapshot,
    desired: Iterator[pa.RecordBatch],
    actual: Iterable[pa.RecordBatch],
    excused: Mapping[RowKey, str] | None,
    scope: Literal["all", "changes"],
) -> Verification:
    sampler = _Sampler(SAMPLED_VECTORS)
    plan = compare(sampler.watch(without(desired, excused or {})), actual)
    wanted = pa.table({"id": pa.array(sampler.ids(), pa.string())})
    expected = {
        (row["id"], row["tenant"]): np.asarray(row["vector"], np.float32)
        for batch in lake.index_rows(generation.model_version, snapshot, ids=wanted)
        for row in batch.to_pylist()
    }
    stored = target.vectors(generation, sorted(expected))
    differing = [
        row[0]
        for row, vector in expected.items()
        if row not in stored or not np.allclose(stored[row], vector, rtol=0, atol=VECTOR_TOLERANCE)
    ]
    refused = len(excused or {})
    return Verification(plan, snapshot, len(expected), sorted(differing), refused, scope)


class _Sampler:
    """Keeps the ids with the smallest hashes of a stream that passes through."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._heap: list[tuple[int, str]] = []

    def watch(self, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            for row_id in batch.column("id").to_pylist():
                rank = -int.from_bytes(hashlib.blake2b(row_id.encode(), digest_size=8).digest())
                if len(self._heap) < self._size:
                    heapq.heappush(self._heap, (rank, row_id))
                elif rank > self._heap[0][0]:
                    heapq.heapreplace(self._heap, (rank, row_id))
            yield batch

    def ids(self) -> list[str]:
        return sorted(row_id for _, row_id in self._heap)
