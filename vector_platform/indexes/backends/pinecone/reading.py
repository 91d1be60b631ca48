"""Reading the rows of a generation back from Pinecone, namespace by namespace, several at once.

Belongs here: which requests show rows, and how few of them do.

A namespace is at least one request, whatever it holds, so an index of many tenants costs as many.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import pyarrow as pa

from vector_platform.indexes.backends.pinecone.requests.calls import REQUEST_IDS, IndexCalls
from vector_platform.indexes.backends.pinecone.requests.waits import GenerationWaits
from vector_platform.indexes.backends.pinecone.rows import pinecone_row
from vector_platform.indexes.backends.pinecone.terms import (
    RowsAsked,
    namespace_of,
    rows_asked,
    tenants_in,
)
from vector_platform.indexes.contract import Generation, RowKey, StoredRow
from vector_platform.indexes.parallel import Parallel
from vector_platform.indexes.proof_sample import ProofSample, WholeRows
from vector_platform.indexes.stored_rows import key_batch

# An answer may be 4 MB; 50 rows with 40 KiB of metadata and 3,072 dimensions are below it.
ROWS_A_FETCH: Final = 50
# A namespace of so many rows is read by one fetch: at most 3 MB of ids, digests and tenants.
SMALL_NAMESPACE: Final = 4000
# Keys that are handed on at once.
BATCH_KEYS: Final = 8192
KEY_FIELDS: Final = ("digest", "tenant")

Key = tuple[str, str, str | None]


class RowReader:
    """Reads the rows of one generation.

    Args:
        index: Requests to its Pinecone index.
        generation: Which.
        parallel: The pool that requests are made from.
        waits: Waits for what this process has written to it.
    """

    def __init__(
        self,
        index: IndexCalls,
        generation: Generation,
        parallel: Parallel,
        waits: GenerationWaits,
    ) -> None:
        self._index = index
        self._generation = generation
        self._parallel = parallel
        self._waits = waits

    def scan(self, sample: ProofSample, whole: WholeRows) -> Iterator[pa.RecordBatch]:
        """Every namespace: a small one by one fetch, if that shows as many rows as are counted.

        All others, and all where only a sample's digests are wanted, as `keys` has them.
        """
        counts = self._index.namespaces()
        namespaces = sorted(tenants_in(counts, self._generation).items())

        def fetch(item: tuple[str, str]) -> list[Key] | None:
            tenant, namespace = item
            if not sample.everything or counts[namespace] > SMALL_NAMESPACE:
                return None
            as_whole = counts[namespace] <= ROWS_A_FETCH and whole.wants(tenant)
            stored = self._few(namespace, ("*",) if as_whole else KEY_FIELDS)
            if stored is None or len(stored) != counts[namespace]:
                return None
            if as_whole:
                whole.bring(_rows(stored, tenant))
            return _keys(stored, tenant)

        rows: list[Key] = []
        fetched = self._parallel.ahead(fetch, namespaces)
        for (tenant, _), own in zip(namespaces, fetched, strict=True):
            if own is None:
                yield from self.keys(tenant, sample)
            else:
                rows += own
            if len(rows) >= BATCH_KEYS:
                yield key_batch(rows)
                rows = []
        yield key_batch(rows)

    def keys(self, tenant: str, sample: ProofSample) -> Iterator[pa.RecordBatch]:
        """Every id that the namespace lists, with the digest that a fetch shows.

        A fetch costs a read unit a row, so only the sample's ids are fetched. One that lists and
        cannot be fetched has an empty digest: whatever it is, it differs.
        """
        namespace = namespace_of(tenant, self._generation)
        if namespace is None:
            return
        self._waits.lists(namespace)
        self._waits.fetches(namespace)

        def fetch(some: Sequence[str]) -> pa.RecordBatch:
            digests: dict[str, str | None] = dict.fromkeys(some)
            wanted = [row_id for row_id in some if sample.has(row_id)]
            stored: Mapping[str, Any] = {}
            if wanted:
                stored = self._index.fetch(namespace, wanted, KEY_FIELDS, what="digests")
            digests |= dict.fromkeys(wanted, "")
            digests |= {row_id: digest for row_id, _, digest in _keys(stored, tenant)}
            return key_batch([(row_id, tenant, digest) for row_id, digest in digests.items()])

        yield from self._parallel.ahead(fetch, self._index.listed(namespace))

    def find(self, rows: Sequence[RowKey]) -> Iterator[pa.RecordBatch]:
        """Rows by id and tenant, fetched without being listed."""

        def fetch(asked: RowsAsked) -> list[Key]:
            return _keys(self._named(asked, KEY_FIELDS, "digests"), asked.tenant)

        found: list[Key] = []
        for own in self._parallel.ahead(fetch, rows_asked(rows, self._generation, REQUEST_IDS)):
            found += own
            if len(found) >= BATCH_KEYS:
                yield key_batch(found)
                found = []
        yield key_batch(found)

    def whole_rows(self, rows: Sequence[RowKey]) -> dict[RowKey, StoredRow]:
        """All fields of rows, whatever their names are."""

        def fetch(asked: RowsAsked) -> dict[RowKey, StoredRow]:
            return _rows(self._named(asked, ("*",), "rows"), asked.tenant)

        requests = rows_asked(rows, self._generation, ROWS_A_FETCH)
        found: dict[RowKey, StoredRow] = {}
        for part in self._parallel.each(fetch, requests):
            found |= part
        return found

    def counts(self, tenants: Sequence[str]) -> dict[str, int]:
        """Rows that one fetch shows; of a namespace too large for that, its record count."""
        counted = self._index.statistics()

        def of(tenant: str) -> int:
            namespace = namespace_of(tenant, self._generation)
            if namespace is None:
                return 0
            few = None
            if counted.get(namespace, 0) <= SMALL_NAMESPACE:
                few = self._few(namespace)
            return self._index.count(namespace) if few is None else len(few)

        return dict(zip(tenants, self._parallel.each(of, tenants), strict=True))

    def _few(self, namespace: str, fields: Sequence[str] = KEY_FIELDS) -> Mapping[str, Any] | None:
        """What says of all rows of a namespace what they are; None when there are too many."""
        return self._waits.fetched(
            namespace,
            lambda: self._index.fetch_few(namespace, fields, most=SMALL_NAMESPACE),
        )

    def _named(self, asked: RowsAsked, fields: Sequence[str], what: str) -> Mapping[str, Any]:
        """Fields of rows of one namespace, those that are there."""
        return (
            self._waits.fetched(
                asked.namespace,
                lambda: self._index.fetch(asked.namespace, asked.ids, fields, what=what),
            )
            or {}
        )


def _rows(stored: Mapping[str, Any], tenant: str) -> dict[RowKey, StoredRow]:
    """Fetched rows as they are served."""
    return {(row_id, tenant): pinecone_row(row.to_dict()) for row_id, row in stored.items()}


def _keys(stored: Mapping[str, Any], tenant: str) -> list[Key]:
    """(id, tenant, digest) of fetched rows.

    The namespace decides whom a row is served to: one that says it is another tenant's has an
    empty digest, so that it differs whatever it is.
    """
    rows = ((row_id, found.to_dict()) for row_id, found in stored.items())
    return [
        (row_id, tenant, (row.get("digest") or "") if row.get("tenant") == tenant else "")
        for row_id, row in rows
    ]
