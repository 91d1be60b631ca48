"""Pinecone: one index a model version, one namespace a tenant and generation.

Belongs here: what each promise of `VectorIndex` takes on Pinecone. Long, since it is one class.

An index's dimension and schema are fixed and a project holds few indexes, while an index holds
many namespaces: hence generations are namespaces `{tenant}@{generation}`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

import numpy as np
import pyarrow as pa
from pydantic import SecretStr

from vector_platform.indexes.backends.pinecone.aliases import alias_mirrors, point_aliases
from vector_platform.indexes.backends.pinecone.indexes import PineconeIndexes
from vector_platform.indexes.backends.pinecone.names import generation_marker, namespace_name
from vector_platform.indexes.backends.pinecone.reading import RowReader
from vector_platform.indexes.backends.pinecone.requests.calls import (
    REQUEST_BYTES,
    REQUEST_IDS,
    IndexCalls,
    row_reason,
)
from vector_platform.indexes.backends.pinecone.requests.fence import LastWrites, Place, Write
from vector_platform.indexes.backends.pinecone.requests.waits import GenerationWaits
from vector_platform.indexes.backends.pinecone.rows import batches_by_size, pinecone_documents
from vector_platform.indexes.backends.pinecone.searching import search
from vector_platform.indexes.backends.pinecone.settings import PineconeSettings
from vector_platform.indexes.backends.pinecone.terms import (
    RowsAsked,
    generations_in,
    index_name,
    is_ours,
    rows_asked,
    tenants_in,
)
from vector_platform.indexes.base import VectorIndex
from vector_platform.indexes.bisection import write_or_refuse
from vector_platform.indexes.contract import (
    Claim,
    Generation,
    Hit,
    Mirrored,
    RowKey,
    RowsRejected,
    Scope,
    StoredRow,
)
from vector_platform.indexes.filtering.conditions import Condition
from vector_platform.indexes.parallel import Parallel
from vector_platform.indexes.proof_sample import EVERY_DIGEST, ProofSample, WholeRows
from vector_platform.indexes.stored_rows import by_tenant


class PineconeVectorIndex(VectorIndex):
    """Pinecone, or a server that speaks its API version 2026-07.

    Writes are acknowledged before reads see them, so `fence` waits: for searches by log
    position, for fetches and lists until the last write shows.

    Args:
        host: Control plane URL, or `cloud` for Pinecone itself.
        api_key: Credential. Never part of a message.
        settings: Where indexes are made, and how much is asked at once.
        timeout_seconds: Longest one attempt of a request may take; the SDK makes up to four.
        fence_seconds: Longest a fence waits for one namespace.
    """

    backend = "pinecone"
    # An id lives in a namespace: a row under a new tenant leaves the old one where it was.
    ids_are_global = False
    tenants_apart = True

    def __init__(
        self,
        *,
        host: str,
        api_key: SecretStr,
        settings: PineconeSettings,
        timeout_seconds: float = 30.0,
        fence_seconds: float = 60.0,
    ) -> None:
        self._settings = settings
        self._fence_seconds = fence_seconds
        self._last_writes = LastWrites()
        self._parallel = Parallel(settings.max_parallel_requests, "pinecone")
        self._indexes = PineconeIndexes(host=host, api_key=api_key, timeout_seconds=timeout_seconds)

    # -- generations ------------------------------------------------------------------------

    def create(self, generation: Generation) -> None:
        """Make the model version's index where missing, and the generation's marker in it."""
        name = index_name(generation)
        if self._indexes.find(generation) is None:
            self._indexes.create(
                generation, cloud=self._settings.cloud, region=self._settings.region
            )
        index = self._indexes.open(generation)
        if not index.create_namespace(generation_marker(generation.name)):
            return
        for gone in tenants_in(self._last_writes.namespaces(name), generation).values():
            self._last_writes.forget((name, gone))

    def exists(self, generation: Generation) -> bool:
        """Whether the index is there and holds a namespace of the generation."""
        index = self._indexes.find(generation)
        if index is None:
            return False
        # The marker is made first and deleted last; only somebody else can have removed it alone.
        return index.has_namespace(generation_marker(generation.name)) or (
            generation.name in generations_in(index.namespaces())
        )

    def drop(self, generation: Generation) -> None:
        """Delete the generation's namespaces, the marker last; then the index if it is empty."""
        index = self._indexes.find(generation)
        if index is None:
            return
        name, doomed = index_name(generation), tenants_in(index.namespaces(), generation)
        for alias, target in index.aliases().items():
            if target in doomed.values() and is_ours(alias, target):
                index.delete_alias(alias)

        def delete(namespace: str) -> None:
            index.delete_namespace(namespace)
            self._last_writes.forget((name, namespace))

        marker = generation_marker(generation.name)
        self._parallel.each(delete, list(doomed.values()))
        delete(marker)
        # A deleted namespace may still be listed for a while.
        if index.namespaces().keys() <= {marker, *doomed.values()}:
            self._indexes.delete(generation)
        else:
            self._indexes.forget(generation)

    def claims(self, index: str) -> list[Claim]:
        """Generations in any of the platform's indexes, by name."""
        return self._indexes.claims(index)

    def mark(self, generation: Generation, stamp: str) -> None:
        """Tag the model version's index."""
        self._indexes.stamp(generation, stamp)

    def point(self, generation: Generation) -> Mirrored:
        """Let a namespace alias named like each tenant stand for its namespace here.

        Only in the index of this model version, for tenants whose names Pinecone admits, and at
        most 1,000. Aliases to other generations are removed where this one has no such tenant, so
        that nothing that is gone is served.

        Raises:
            NotOurs: The index is another lake's, or a tenant's alias stands for a namespace the
                platform did not create.
        """
        return point_aliases(self._indexes.own(generation), generation, self._parallel)

    def mirrored(self, generation: Generation) -> Mirrored:
        """Aliases of tenants that stand for another generation, are missing, or one too many."""
        if (index := self._indexes.find(generation)) is None:
            return Mirrored(0, behind=(f"there is no index {index_name(generation)}",))
        return alias_mirrors(index, generation)

    # -- rows -------------------------------------------------------------------------------

    def upsert(self, generation: Generation, rows: pa.RecordBatch, *, fresh: bool = False) -> None:
        """Write rows in parallel requests; one that is refused is found by bisection."""
        index, name = self._indexes.open(generation), index_name(generation)
        namespace_of = partial(namespace_name, generation=generation.name)

        def write(part: pa.RecordBatch) -> dict[str, str]:
            documents, refused = pinecone_documents(part, generation.dimension, namespace_of)
            for namespace, own in documents.items():
                send = partial(self._send, index, (name, namespace))
                for batch in batches_by_size(
                    own, max_rows=self._settings.batch_rows, max_bytes=REQUEST_BYTES
                ):
                    refused |= write_or_refuse(send, batch, key="_id", reason=row_reason)
            return refused

        refused: dict[str, str] = {}
        parts = list(by_tenant(rows, self._settings.batch_rows))
        for reasons in self._parallel.each(write, parts):
            refused |= reasons
        if refused:
            raise RowsRejected(refused)

    def _send(self, index: IndexCalls, place: Place, documents: list[dict[str, Any]]) -> None:
        with self._last_writes.doubting(place):
            position = index.upsert(place[1], documents)
        last = documents[-1]
        self._last_writes.add(place, Write(position, last["_id"], last["digest"]))

    def delete(self, generation: Generation, rows: Sequence[RowKey]) -> None:
        """Remove rows from their tenants' namespaces, and see by fetching them that they are gone.

        Raises:
            IndexUnavailable: Some are still there after the longest wait of a fence.
        """
        index, name = self._indexes.open(generation), index_name(generation)
        waits = self._waits(generation)

        def remove(asked: RowsAsked) -> None:
            place = (name, asked.namespace)
            with self._last_writes.doubting(place):
                position = index.delete(asked.namespace, asked.ids)
                # Without a position the namespace does not exist, and nothing was removed.
                if position is not None:
                    waits.deleted(asked.namespace, asked.ids)
                    last = Write(position, asked.ids[-1], None, fetched=True)
                    self._last_writes.add(place, last)

        self._parallel.each(remove, rows_asked(rows, generation, REQUEST_IDS))

    def fence(
        self, generation: Generation, *, others: bool = True, proof_follows: bool = False
    ) -> None:
        """Wait until searches and fetches show every acknowledged write; a proof's wait itself."""
        self._waits(generation).fence(self._parallel, others=others, searches_only=proof_follows)

    def tenants(self, generation: Generation) -> list[str]:
        """Tenants with rows; a namespace counted as empty is looked into, counts may lag."""
        index = self._indexes.open(generation)
        found = tenants_in(counts := index.namespaces(), generation).items()
        return sorted(tenant for tenant, name in found if counts[name] or index.has_documents(name))

    def scan(
        self,
        generation: Generation,
        *,
        sample: ProofSample = EVERY_DIGEST,
        whole: WholeRows | None = None,
    ) -> Iterator[pa.RecordBatch]:
        """Every namespace, a small one by one request, whole where its rows are read next."""
        return self._reader(generation).scan(sample, whole or WholeRows())

    def keys(
        self, generation: Generation, tenant: str, *, sample: ProofSample = EVERY_DIGEST
    ) -> Iterator[pa.RecordBatch]:
        """Every id that the namespace lists, with the digest that a fetch shows."""
        return self._reader(generation).keys(tenant, sample)

    def find(self, generation: Generation, rows: Sequence[RowKey]) -> Iterator[pa.RecordBatch]:
        """Rows by id and tenant, fetched without being listed."""
        return self._reader(generation).find(rows)

    def whole_rows(self, generation: Generation, rows: Sequence[RowKey]) -> dict[RowKey, StoredRow]:
        """All fields of rows, those to filter by among them."""
        return self._reader(generation).whole_rows(rows)

    def count(self, generation: Generation) -> int:
        """Sum of the namespaces' record counts, told in one answer."""
        counts = self._indexes.open(generation).statistics()
        return sum(counts[namespace] for namespace in tenants_in(counts, generation).values())

    def counts(self, generation: Generation, tenants: Sequence[str]) -> dict[str, int]:
        """Rows that one fetch shows; of a namespace too large for that, its record count."""
        return self._reader(generation).counts(tenants)

    def _reader(self, generation: Generation) -> RowReader:
        index = self._indexes.open(generation)
        return RowReader(index, generation, self._parallel, self._waits(generation))

    def _waits(self, generation: Generation) -> GenerationWaits:
        index = self._indexes.open(generation)
        return GenerationWaits(index, generation, self._last_writes, self._fence_seconds)

    def _search(
        self,
        generation: Generation,
        vector: np.ndarray,
        *,
        k: int,
        scope: Scope,
        where: Condition | None,
    ) -> list[Hit]:
        most = self._settings.search_namespaces
        index = self._indexes.open(generation)
        return search(
            index,
            generation,
            vector,
            k=k,
            scope=scope,
            where=where,
            most=most,
            pool=self._parallel,
        )

    def nearest(
        self, generation: Generation, vectors: np.ndarray, *, k: int, scope: Scope
    ) -> list[list[str]]:
        """Several searches at once; over many tenants, where each of them is several, in turn."""
        if len(scope.tenants) != 1:
            return super().nearest(generation, vectors, k=k, scope=scope)

        def find(vector: np.ndarray) -> list[str]:
            return [hit.id for hit in self.search(generation, vector, k=k, scope=scope)]

        return self._parallel.each(find, list(vectors))

    def close(self) -> None:
        """Finish what is under way and close the connections."""
        self._parallel.close()
        self._indexes.close()
