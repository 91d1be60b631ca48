"""A `VectorIndex` in memory: simpler than a server, held to the same promises by the same suite.

Belongs here: the backend's behaviour, both where an id exists once (`ids_are_global`) and where
every tenant has its own; delayed visibility until `fence`; and a fuse that fails at a chosen call.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from heapq import nsmallest
from typing import Any

import numpy as np
import pyarrow as pa

from vector_platform.indexes.base import VectorIndex
from vector_platform.indexes.contract import (
    INDEX_KEY,
    Claim,
    Generation,
    Hit,
    IndexUnavailable,
    Mirrored,
    RowKey,
    RowsRejected,
    Scope,
    StoredRow,
)
from vector_platform.indexes.filtering.conditions import Condition, matches
from vector_platform.indexes.marks import mark, require_mark
from vector_platform.indexes.proof_sample import EVERY_DIGEST, ProofSample, WholeRows
from vector_platform.settings import BackendName

Key = tuple[str, str]
WRITES = ("create", "mark", "upsert", "delete", "drop")


class Fuse:
    """Fails the n-th call, once; counts calls and writes. `applied` fails after the effect."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.blow_at: int | None = None
        self.applied = False

    def reset(self, blow_at: int | None = None, *, applied: bool = False) -> None:
        self.calls, self.blow_at, self.applied = [], blow_at, applied

    @property
    def writes(self) -> list[str]:
        return [name for name in self.calls if name in WRITES]

    def burn(self, name: str) -> bool:
        """Record a call; True when it must fail after its effect."""
        self.calls.append(name)
        if len(self.calls) != self.blow_at:
            return False
        self.blow_at = None
        if not self.applied:
            raise IndexUnavailable(f"call {len(self.calls)} ({name}) failed")
        return True


class MemoryIndex(VectorIndex):
    """Rows by (tenant, id); acknowledged writes are visible to reads after `fence` only."""

    backend: BackendName = "milvus"

    def __init__(self, *, ids_are_global: bool = False) -> None:
        self.ids_are_global = ids_are_global
        self.fuse = Fuse()
        self.pointed: Generation | None = None
        # Texts that this index refuses to hold, with the reason it gives.
        self.refuses: dict[str, str] = {}
        # Tenants for which there is no room among the aliases.
        self.without_alias = 0
        self._claims: dict[str, Claim] = {}
        self._stored: dict[str, dict[Key, dict[str, Any]]] = {}
        self._visible: dict[str, dict[Key, dict[str, Any]]] = {}

    # -- damage for tests, behind the platform's back ---------------------------------------

    def rows(self, generation: Generation) -> dict[Key, dict[str, Any]]:
        """The rows themselves; change them and call `damaged`."""
        return self._stored[_place(generation)]

    def damaged(self, generation: Generation) -> None:
        """Make a change of `rows` visible."""
        self._publish(_place(generation))

    def vanish(self, generation: Generation) -> None:
        """Lose a generation as a whole."""
        self._claims.pop(_place(generation))
        self._stored.pop(_place(generation))
        self._visible.pop(_place(generation))

    # -- the interface ----------------------------------------------------------------------

    def create(self, generation: Generation) -> None:
        late = self.fuse.burn("create")
        if _place(generation) not in self._stored:
            self._claims[_place(generation)] = Claim(generation, "")
        self._require(generation)
        self._stored.setdefault(_place(generation), {})
        self._visible.setdefault(_place(generation), {})
        _fail(late)

    def exists(self, generation: Generation) -> bool:
        self.fuse.burn("exists")
        self._require(generation)
        return _place(generation) in self._stored

    def drop(self, generation: Generation) -> None:
        late = self.fuse.burn("drop")
        self._require(generation)
        self._claims.pop(_place(generation), None)
        self._stored.pop(_place(generation), None)
        self._visible.pop(_place(generation), None)
        _fail(late)

    def claims(self, index: str) -> list[Claim]:
        self.fuse.burn("claims")
        found = [place for place in self._claims.values() if place.generation.index == index]
        return sorted(found, key=lambda place: place.generation.name)

    def mark(self, generation: Generation, stamp: str) -> None:
        late = self.fuse.burn("mark")
        self._claims[_place(generation)] = Claim(generation, stamp)
        _fail(late)

    def _require(self, generation: Generation) -> None:
        if (found := self._claims.get(_place(generation))) is not None:
            require_mark(mark(found.generation), mark(generation), f"memory {found}")

    def upsert(self, generation: Generation, rows: pa.RecordBatch, *, fresh: bool = False) -> None:
        late = self.fuse.burn("upsert")
        stored = self._stored[_place(generation)]
        refused = {
            row["id"]: self.refuses[row["text"]]
            for row in rows.to_pylist()
            if row["text"] in self.refuses
        }
        listed = [row for row in rows.to_pylist() if row["id"] not in refused]
        if fresh:
            known = {row_id for _, row_id in stored}
            assert not known & {row["id"] for row in listed}, "promised to be fresh, and is there"
        for row in listed[: len(listed) // 2] if late else listed:
            if self.ids_are_global:
                for key in [key for key in stored if key[1] == row["id"]]:
                    del stored[key]
            stored[row["tenant"], row["id"]] = {
                **row,
                "vector": np.asarray(row["vector"], np.float32),
            }
        _fail(late)
        if refused:
            raise RowsRejected(refused)

    def delete(self, generation: Generation, rows: Sequence[RowKey]) -> None:
        late = self.fuse.burn("delete")
        for row_id, tenant in rows[: len(rows) // 2] if late else rows:
            self._stored[_place(generation)].pop((tenant, row_id), None)
        _fail(late)

    def fence(
        self, generation: Generation, *, others: bool = True, proof_follows: bool = False
    ) -> None:
        self.fuse.burn("fence")
        self._publish(_place(generation))

    def tenants(self, generation: Generation) -> list[str]:
        self.fuse.burn("tenants")
        return sorted({tenant for tenant, _ in self._visible[_place(generation)]})

    def scan(
        self,
        generation: Generation,
        *,
        sample: ProofSample = EVERY_DIGEST,
        whole: WholeRows | None = None,
    ) -> Iterator[pa.RecordBatch]:
        self.fuse.burn("scan")
        yield _keys(self._visible[_place(generation)], sample)

    def keys(
        self, generation: Generation, tenant: str, *, sample: ProofSample = EVERY_DIGEST
    ) -> Iterator[pa.RecordBatch]:
        self.fuse.burn("keys")
        rows = self._visible[_place(generation)]
        yield _keys({key: row for key, row in rows.items() if key[0] == tenant}, sample)

    def find(self, generation: Generation, rows: Sequence[RowKey]) -> Iterator[pa.RecordBatch]:
        self.fuse.burn("find")
        stored = self._visible[_place(generation)]
        keys = dict.fromkeys((tenant, row_id) for row_id, tenant in rows)
        yield _keys({key: stored[key] for key in keys if key in stored}, EVERY_DIGEST)

    def whole_rows(self, generation: Generation, rows: Sequence[RowKey]) -> dict[RowKey, StoredRow]:
        self.fuse.burn("whole_rows")
        stored = self._visible[_place(generation)]
        return {
            (row_id, tenant): row | {"attributes": json.loads(row["attributes"])}
            for row_id, tenant in rows
            if (row := stored.get((tenant, row_id))) is not None
        }

    def count(self, generation: Generation) -> int:
        self.fuse.burn("count")
        return len(self._visible[_place(generation)])

    def counts(self, generation: Generation, tenants: Sequence[str]) -> dict[str, int]:
        self.fuse.burn("counts")
        held = Counter(tenant for tenant, _ in self._visible[_place(generation)])
        return {tenant: held[tenant] for tenant in tenants}

    def _search(
        self,
        generation: Generation,
        vector: np.ndarray,
        *,
        k: int,
        scope: Scope,
        where: Condition | None,
    ) -> list[Hit]:
        self.fuse.burn("search")
        scored = [
            (float(row["vector"] @ vector), owner, row)
            for (owner, _), row in self._visible[_place(generation)].items()
            if scope.holds(owner)
            and (where is None or matches(where, json.loads(row["attributes"])))
        ]
        return [
            Hit(
                id=row["id"],
                score=score,
                tenant=owner,
                doc_id=row["doc_id"],
                title=row["title"],
                text=row["text"],
                region=row["region"],
                digest=row["digest"],
                attributes=json.loads(row["attributes"]),
            )
            for score, owner, row in nsmallest(k, scored, key=lambda one: (-one[0], one[2]["id"]))
        ]

    def point(self, generation: Generation) -> Mirrored:
        late = self.fuse.burn("point")
        self.pointed = generation
        _fail(late)
        return Mirrored(1, self.without_alias)

    def mirrored(self, generation: Generation) -> Mirrored:
        if self.pointed == generation:
            return Mirrored(1, self.without_alias)
        behind = (f"the alias stands for {self.pointed}",)
        return Mirrored(0, self.without_alias, behind)

    def close(self) -> None:
        self.fuse.burn("close")

    def _publish(self, place: str) -> None:
        self._visible[place] = dict(self._stored[place])


def _place(generation: Generation) -> str:
    return f"{generation.index}/{generation.name}"


def _keys(rows: dict[Key, dict[str, Any]], sample: ProofSample) -> pa.RecordBatch:
    listed = [
        {
            "id": row["id"],
            "tenant": tenant,
            "digest": row["digest"] if sample.has(row["id"]) else None,
        }
        for (tenant, _), row in rows.items()
    ]
    return pa.RecordBatch.from_pylist(listed, schema=INDEX_KEY)


def _fail(late: bool) -> None:
    if late:
        raise IndexUnavailable("the connection was lost after the call took effect")
