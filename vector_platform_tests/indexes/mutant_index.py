"""An index that does otherwise than asked, once: what carries a mutation of `mutants` out."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
import pyarrow as pa

from vector_platform.indexes.base import VectorIndex
from vector_platform.indexes.contract import (
    Claim,
    Generation,
    Hit,
    Mirrored,
    RowKey,
    Scope,
    StoredRow,
)
from vector_platform.indexes.filtering.conditions import Condition
from vector_platform.indexes.proof_sample import EVERY_DIGEST, ProofSample, WholeRows
from vector_platform_tests.indexes.mutants import Call, Mutation, Rows


class MutantIndex(VectorIndex):
    """Any index; one write call, counted from `arm`, is carried out by a mutation.

    Args:
        target: The index behind.
        stranger: A generation nobody asked for.
    """

    def __init__(self, target: VectorIndex, stranger: Generation) -> None:
        self.target = target
        self.backend = target.backend
        self.ids_are_global = target.ids_are_global
        self.struck = False
        self._stranger = stranger
        self._earlier: Rows = []
        self._mutation: Mutation | None = None
        self._on = ""
        self._luck = random.Random(0)

    def arm(self, mutation: Mutation, on: str, *, seed: int) -> None:
        """Let the mutation fall upon the next `upsert` or `delete`."""
        self._mutation, self._on, self.struck = mutation, on, False
        self._luck = random.Random(seed)

    def _strikes(self, name: str, generation: Generation, rows: Rows, keys: list[RowKey]) -> bool:
        if self._mutation is None or self._on != name or not (rows or keys):
            return False
        mutation, self._mutation, self.struck = self._mutation, None, True
        stranger = replace(generation, name=self._stranger.name)
        mutation(Call(self.target, generation, stranger, rows, keys, self._earlier, self._luck))
        return True

    def upsert(self, generation: Generation, rows: pa.RecordBatch, *, fresh: bool = False) -> None:
        listed = rows.to_pylist()
        if not self._strikes("upsert", generation, listed, []):
            self.target.upsert(generation, rows, fresh=fresh)
        self._earlier = listed

    def delete(self, generation: Generation, rows: Sequence[RowKey]) -> None:
        if not self._strikes("delete", generation, [], list(rows)):
            self.target.delete(generation, rows)

    # -- the rest is as asked -----------------------------------------------------------------

    def create(self, generation: Generation) -> None:
        self.target.create(generation)

    def exists(self, generation: Generation) -> bool:
        return self.target.exists(generation)

    def drop(self, generation: Generation) -> None:
        self.target.drop(generation)

    def claims(self, index: str) -> list[Claim]:
        return self.target.claims(index)

    def mark(self, generation: Generation, stamp: str) -> None:
        self.target.mark(generation, stamp)

    def fence(
        self, generation: Generation, *, others: bool = True, proof_follows: bool = False
    ) -> None:
        self.target.fence(generation, others=others, proof_follows=proof_follows)

    def tenants(self, generation: Generation) -> list[str]:
        return self.target.tenants(generation)

    def scan(
        self,
        generation: Generation,
        *,
        sample: ProofSample = EVERY_DIGEST,
        whole: WholeRows | None = None,
    ) -> Iterator[pa.RecordBatch]:
        return self.target.scan(generation, sample=sample, whole=whole)

    def keys(
        self, generation: Generation, tenant: str, *, sample: ProofSample = EVERY_DIGEST
    ) -> Iterator[pa.RecordBatch]:
        return self.target.keys(generation, tenant, sample=sample)

    def find(self, generation: Generation, rows: Sequence[RowKey]) -> Iterator[pa.RecordBatch]:
        return self.target.find(generation, rows)

    def whole_rows(self, generation: Generation, rows: Sequence[RowKey]) -> dict[RowKey, StoredRow]:
        return self.target.whole_rows(generation, rows)

    def count(self, generation: Generation) -> int:
        return self.target.count(generation)

    def counts(self, generation: Generation, tenants: Sequence[str]) -> dict[str, int]:
        return self.target.counts(generation, tenants)

    def _search(
        self,
        generation: Generation,
        vector: np.ndarray,
        *,
        k: int,
        scope: Scope,
        where: Condition | None,
    ) -> list[Hit]:
        return self.target.search(generation, vector, k=k, scope=scope, where=where)

    def point(self, generation: Generation) -> None:
        self.target.point(generation)

    def mirrored(self, generation: Generation) -> Mirrored:
        return self.target.mirrored(generation)

    def close(self) -> None:
        self.target.close()
