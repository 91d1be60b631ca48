"""A `VectorIndex` in memory: simpler than a server, held to the same promises by the same suite.

Belongs here: the backend's behaviour, both where an id exists once (`ids_are_global`) and where
every tenant has its own; delayed visibility until `fence`; and a fuse that fails at a chosen call.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from vector_platform.indexes.base import VectorIndex
from vector_platform.indexes.contract import (
    INDEX_KEY,
    Generation,
    Hit,
    IndexUnavailable,
    RowsRejected,
)
from vector_platform.indexes.digest_sample import EVERY_DIGEST, DigestSample
from vector_platform.settings import BackendName

Key = tuple[str, str]
WRITES = ("create", "upsert", "delete", "drop")


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
        self._stored.pop(_place(generation))
        self._visible.pop(_place(generation))

    # -- the interface ----------------------------------------------------------------------

    def create(self, generation: Generation) -> None:
        late = self.fuse.burn("create")
        self._stored.setdefault(_place(generation), {})
        self._visible.setdefault(_place(generation), {})
        _fail(late)

    def exists(self, generation: Generation) -> bool:
        self.fuse.burn("exists")
        return _place(generation) in self._stored

    def drop(self, generation: Generation) -> None:
        late = self.fuse.burn("drop")
        self._stored.pop(_place(generation), None)
        self._visible.pop(_place(generation), None)
        _fail(late)

    def generation_names(self, index: str) -> list[str]:
        self.fuse.burn("generation_names")
        return sorted(name.split("/")[1] for name in self._stored if name.split("/")[0] == index)

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

    def delete(self, generation: Generation, tenant: str, ids: Sequence[str]) -> None:
        late = self.fuse.burn("delete")
        for row_id in list(ids)[: len(ids) // 2] if late else ids:
            self._stored[_place(generation)].pop((tenant, row_id), None)
        _fail(late)

    def fence(self, generation: Generation) -> None:
        self.fuse.burn("fence")
        self._publish(_place(generation))

    def tenants(self, generation: Generation) -> list[str]:
        self.fuse.burn("tenants")
        return sorted({tenant for tenant, _ in self._visible[_place(generation)]})

    def keys(
        self,
        generation: Generation,
        tenant: str,
        ids: Sequence[str] | None = None,
        *,
        sample: DigestSample = EVERY_DIGEST,
    ) -> Iterator[pa.RecordBatch]:
        self.fuse.burn("keys")
        rows = [
            {
                "id": row["id"],
                "tenant": owner,
                "digest": row["digest"] if ids is not None or sample.has(row["id"]) else None,
            }
            for (owner, _), row in self._visible[_place(generation)].items()
            if owner == tenant and (ids is None or row["id"] in ids)
        ]
        yield pa.RecordBatch.from_pylist(rows, schema=INDEX_KEY)

    def vectors(
        self, generation: Generation, tenant: str, ids: Sequence[str]
    ) -> dict[str, np.ndarray]:
        self.fuse.burn("vectors")
        rows = self._visible[_place(generation)]
        return {
            row_id: rows[tenant, row_id]["vector"] for row_id in ids if (tenant, row_id) in rows
        }

    def count(self, generation: Generation) -> int:
        self.fuse.burn("count")
        return len(self._visible[_place(generation)])

    def search(
        self, generation: Generation, vector: np.ndarray, *, k: int, tenant: str | None = None
    ) -> list[Hit]:
        self.fuse.burn("search")
        hits = [
            Hit(
                id=row["id"],
                score=float(row["vector"] @ vector),
                tenant=owner,
                doc_id=row["doc_id"],
                title=row["title"],
                text=row["text"],
                region=row["region"],
                digest=row["digest"],
                attributes=json.loads(row["attributes"]),
            )
            for (owner, _), row in self._visible[_place(generation)].items()
            if tenant in (None, owner)
        ]
        return sorted(hits, key=lambda hit: (-hit.score, hit.id))[:k]

    def point(self, generation: Generation) -> None:
        late = self.fuse.burn("point")
        self.pointed = generation
        _fail(late)

    def close(self) -> None:
        self.fuse.burn("close")

    def _publish(self, place: str) -> None:
        self._visible[place] = dict(self._stored[place])


def _place(generation: Generation) -> str:
    return f"{generation.index}/{generation.name}"


def _fail(late: bool) -> None:
    if late:
        raise IndexUnavailable("the connection was lost after the call took effect")
