"""Milvus: one collection a generation, tenants as its partition key.

Belongs here: what each promise of `VectorIndex` takes on Milvus. Long, since it is one class.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
from pydantic import SecretStr

from vector_platform.indexes.backends.milvus.aliases import (
    alias_mirrors,
    drop_alias,
    point_alias,
)
from vector_platform.indexes.backends.milvus.calls import MilvusCalls, row_reason
from vector_platform.indexes.backends.milvus.collections import (
    claims,
    create_collection,
    create_index,
    require_own,
    write_mark,
)
from vector_platform.indexes.backends.milvus.filters import UNFILTERED, among, of_tenant
from vector_platform.indexes.backends.milvus.names import collection_name
from vector_platform.indexes.backends.milvus.reading import (
    IDS_A_QUERY,
    counted,
    found_keys,
    rows_of,
    scanned_keys,
    stored_keys,
    stored_tenants,
    whole_rows,
)
from vector_platform.indexes.backends.milvus.rows import milvus_rows, requests_of
from vector_platform.indexes.backends.milvus.searching import Searches
from vector_platform.indexes.backends.milvus.settings import MilvusSettings
from vector_platform.indexes.backends.milvus.terms import upsert_keeps_tenants
from vector_platform.indexes.base import VectorIndex
from vector_platform.indexes.bisection import write_or_refuse
from vector_platform.indexes.contract import (
    Claim,
    Generation,
    Hit,
    IndexRejected,
    Mirrored,
    RowKey,
    RowsRejected,
    Scope,
    StoredRow,
)
from vector_platform.indexes.filtering.conditions import Condition
from vector_platform.indexes.parallel import Parallel
from vector_platform.indexes.proof_sample import EVERY_DIGEST, ProofSample, WholeRows
from vector_platform.indexes.stored_rows import pages


class MilvusVectorIndex(VectorIndex):
    """A Milvus server or Milvus Lite.

    `fence` and `tenants` read strongly, which waits some 200 ms for the server's clock. All that
    reads after them is bounded and waits for nothing: with the one replica a collection is loaded
    with, it cannot see less than a strong read before it.

    Args:
        uri: Address of the server.
        settings: How collections are built and searched.
        token: Credential, when the server wants one. Never part of a message.
        timeout_seconds: Longest a call may take, reconnecting included.
    """

    backend = "milvus"
    # An upsert deletes its primary key in all partitions first, so an id lives in one tenant.
    ids_are_global = True

    def __init__(
        self,
        *,
        uri: str,
        settings: MilvusSettings,
        token: SecretStr | None = None,
        timeout_seconds: float = 30.0,
    ) -> None:
        self._settings = settings
        self._opened: set[Generation] = set()
        self._parallel = Parallel(settings.max_parallel_requests, "milvus")
        self._milvus = MilvusCalls(
            uri=uri, database=settings.database, token=token, timeout_seconds=timeout_seconds
        )
        self._searches = Searches(self._milvus, settings)
        sound = upsert_keeps_tenants(self._milvus.version)
        self._write = self._milvus.upsert if sound else self._replace

    # -- generations ------------------------------------------------------------------------

    def create(self, generation: Generation) -> None:
        """Make the collection, its index, and load it; each only where missing."""
        name = collection_name(generation)
        if not self._milvus.call("has_collection", name):
            create_collection(self._milvus, generation, self._settings.partitions)
        require_own(self._milvus, generation)
        if not self._milvus.call("list_indexes", name):
            create_index(self._milvus, generation, self._settings)
        self._milvus.call_slow("load_collection", name)

    def exists(self, generation: Generation) -> bool:
        """Whether the collection is there, seen to be the platform's and this lake's."""
        if not self._milvus.call("has_collection", collection_name(generation)):
            return False
        require_own(self._milvus, generation)
        return True

    def drop(self, generation: Generation) -> None:
        """Drop the collection, and our alias when it still points there."""
        name = collection_name(generation)
        if not self._milvus.call("has_collection", name):
            return
        require_own(self._milvus, generation)
        drop_alias(self._milvus, generation)
        self._milvus.call_slow("drop_collection", name)
        self._opened.discard(generation)

    def claims(self, index: str) -> list[Claim]:
        """Collections that carry the platform's mark, by name."""
        return claims(self._milvus, index)

    def mark(self, generation: Generation, stamp: str) -> None:
        """Alter the collection's properties; Milvus Lite keeps them, too."""
        write_mark(self._milvus, generation, stamp)

    def point(self, generation: Generation) -> Mirrored:
        """Let the alias `{index}_live` stand for the generation's collection.

        Raises:
            NotOurs: The alias stands for a collection that is not of this index and lake.
        """
        require_own(self._milvus, generation)
        return point_alias(self._milvus, generation)

    def mirrored(self, generation: Generation) -> Mirrored:
        """Whether the alias `{index}_live` is there, and what it stands for."""
        return alias_mirrors(self._milvus, generation)

    # -- rows -------------------------------------------------------------------------------

    def upsert(self, generation: Generation, rows: pa.RecordBatch, *, fresh: bool = False) -> None:
        """Write rows; one that is refused is found by bisection, and the others are written.

        Fresh rows are inserted, which saves a request where an upsert is a deletion and an insert.
        pymilvus repeats an insert whose connection is lost, and a server may then hold two copies:
        `keys` names both, and writing those rows again leaves one.
        """
        name = self._open(generation)
        send = self._milvus.insert if fresh else self._write

        def write(part: pa.RecordBatch) -> dict[str, str]:
            entities, refused = milvus_rows(part, generation.dimension)
            return refused | write_or_refuse(
                lambda entities: send(name, entities),
                entities,
                key="id",
                reason=row_reason,
            )

        refused: dict[str, str] = {}
        for reasons in self._parallel.each(
            write, list(requests_of(rows, self._settings.batch_rows))
        ):
            refused |= reasons
        if refused:
            raise RowsRejected(refused)

    def delete(self, generation: Generation, rows: Sequence[RowKey]) -> None:
        """Remove rows by id, those of their tenants only, and see that they are gone.

        Milvus deletes by primary key whatever the tenant, so what belongs to it is read first.
        Ids go and are read back in the same literals, so that a row which cannot be named is not
        taken for a deleted one.

        Raises:
            IndexRejected: Rows are there after their deletion.
        """
        name = self._open(generation)
        for page in pages(rows, IDS_A_QUERY):
            own = sorted({row["id"] for row in rows_of(self._milvus, name, page, [], "Strong")})
            if not own:
                continue
            self._milvus.delete(name, among("id", own))
            left = rows_of(self._milvus, name, page, [], "Strong")
            if left:
                raise IndexRejected(
                    f"{self._milvus.where}: {len(left)} of {len(own)} rows are still there after "
                    f"their deletion was acknowledged, first {left[0]['id']!r}; repair the index"
                )

    def fence(
        self, generation: Generation, *, others: bool = True, proof_follows: bool = False
    ) -> None:
        """Read the whole collection strongly: what follows sees all that was written before.

        Milvus Lite has no staleness, but searches rows that are not flushed without their index,
        some fifty times slower; there the fence flushes. A server flushes by itself and limits
        how often it may be asked.
        """
        name = self._open(generation)
        if self._milvus.is_lite:
            self._milvus.call_slow("flush", name)
        self.count(generation)
        probe = np.full(generation.dimension, generation.dimension**-0.5, np.float32)
        self._searches.hits(name, probe, k=1, scope=Scope.all_tenants(), consistency="Strong")

    def tenants(self, generation: Generation) -> list[str]:
        """Tenants that have rows."""
        return stored_tenants(self._milvus, self._open(generation))

    def scan(
        self,
        generation: Generation,
        *,
        sample: ProofSample = EVERY_DIGEST,
        whole: WholeRows | None = None,
    ) -> Iterator[pa.RecordBatch]:
        """Ids, tenants and all digests, as tenants' filters find them; each copy of an id."""
        return scanned_keys(self._milvus, self._open(generation))

    def keys(
        self, generation: Generation, tenant: str, *, sample: ProofSample = EVERY_DIGEST
    ) -> Iterator[pa.RecordBatch]:
        """The same of one tenant, through the tenant filter that searches use."""
        return stored_keys(self._milvus, self._open(generation), of_tenant(tenant))

    def find(self, generation: Generation, rows: Sequence[RowKey]) -> Iterator[pa.RecordBatch]:
        """Rows by id and tenant, a filter for many tenants at once."""
        return found_keys(self._milvus, self._open(generation), rows)

    def whole_rows(self, generation: Generation, rows: Sequence[RowKey]) -> dict[RowKey, StoredRow]:
        """All fields of rows, a filter for many ids at once."""
        return whole_rows(self._milvus, self._open(generation), rows)

    def count(self, generation: Generation) -> int:
        """Rows as `count(*)` has them; collection statistics still count deleted ones."""
        return self._milvus.count(self._open(generation), UNFILTERED, "Strong")

    def counts(self, generation: Generation, tenants: Sequence[str]) -> dict[str, int]:
        """Rows of tenants, many of them in one filter."""
        return counted(self._milvus, self._open(generation), tenants)

    def deleted_share(self, generation: Generation) -> float | None:
        """From the collection's statistics, which count a deleted row until it is compacted away.

        Milvus Lite keeps no such statistics.
        """
        if self._milvus.is_lite:
            return None
        name = self._open(generation)
        stored = int(self._milvus.call("get_collection_stats", name)["row_count"])
        return max(0.0, 1 - self.count(generation) / stored) if stored else 0.0

    def _search(
        self,
        generation: Generation,
        vector: np.ndarray,
        *,
        k: int,
        scope: Scope,
        where: Condition | None,
    ) -> list[Hit]:
        collection = self._open(generation)
        return self._searches.hits(collection, vector, k=k, scope=scope, where=where)

    def nearest(
        self, generation: Generation, vectors: np.ndarray, *, k: int, scope: Scope
    ) -> list[list[str]]:
        """Ids of many searches; a request carries a page of them and brings back no fields."""
        if scope.is_empty:
            return [[] for _ in vectors]
        return list(self._searches.ids(self._open(generation), vectors, k=k, scope=scope))

    def close(self) -> None:
        """Finish what is under way and close the connection."""
        self._parallel.close()
        self._milvus.close()

    # -- shared steps -----------------------------------------------------------------------

    def _open(self, generation: Generation) -> str:
        """Name of the generation's collection, seen to be this lake's when it is first used.

        Raises:
            NotOurs: It is somebody else's.
        """
        if generation not in self._opened:
            require_own(self._milvus, generation)
            self._opened.add(generation)
        return collection_name(generation)

    def _replace(self, name: str, entities: list[dict[str, Any]]) -> None:
        """Delete and insert, for servers whose upsert loses rows (see `upsert_keeps_tenants`).

        A reader may miss the rows for the moment between the two.
        """
        self._milvus.delete(name, among("id", [entity["id"] for entity in entities]))
        self._milvus.insert(name, entities)
