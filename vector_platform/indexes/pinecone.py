"""Pinecone: one index a model version, one namespace a tenant and generation.

Belongs here: every call to the pinecone SDK, through the documents API. Does not belong here:
names (`naming.py`), conversions and row limits (`stored_rows.py`), what a fence waits for
(`last_writes.py`), or any decision about what is written (`plan.py`, `sync.py`).

An index's dimension and schema are fixed and a project holds few indexes, while an index holds
many namespaces: hence generations are namespaces `{tenant}@{generation}`.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from typing import Any, Final

import numpy as np
import pyarrow as pa
from pinecone import DenseVectorQuery, Index, Pinecone
from pinecone.errors import (
    ApiError,
    ConflictError,
    NotFoundError,
    PineconeConnectionError,
    PineconeError,
    PineconeTimeoutError,
    PineconeTypeError,
    PineconeValueError,
)
from pydantic import SecretStr

from vector_platform.indexes.base import VectorIndex
from vector_platform.indexes.contract import (
    Generation,
    Hit,
    IndexRejected,
    IndexUnavailable,
    RowsRejected,
)
from vector_platform.indexes.digest_sample import EVERY_DIGEST, DigestSample
from vector_platform.indexes.halving import write_or_refuse
from vector_platform.indexes.naming import generation_marker, namespace_name
from vector_platform.indexes.parallel import Parallel
from vector_platform.indexes.pinecone_fence import (
    LastWrites,
    NamespaceFence,
    Place,
    Write,
    logged_position,
)
from vector_platform.indexes.pinecone_terms import (
    alias_changes,
    alias_path,
    generations_in,
    index_name,
    is_ours,
    is_tagged,
    tags,
    tenants_in,
)
from vector_platform.indexes.stored_rows import (
    HIT_FIELDS,
    batches_by_size,
    best,
    by_tenant,
    hit_of,
    key_batch,
    pages,
    pinecone_documents,
)
from vector_platform.settings import PineconeIndex as PineconeSettings

logger = logging.getLogger(__name__)

# Pinecone's limits: bytes of a request (2 MB, less its envelope), ids of a fetch or a delete,
# names of a page.
REQUEST_BYTES: Final = 2_000_000
REQUEST_IDS: Final = 1000
PAGE_NAMES: Final = 100
# An answer may be 4 MB; 100 vectors of 1,536 dimensions are below it.
VECTORS_A_FETCH: Final = 100
# An index is ready within seconds; a minute is a cloud that is busy.
CREATE_SECONDS: Final = 300
# Statuses that a single row of the request may be the cause of.
_PERHAPS_THE_ROWS: Final = frozenset({400, 413, 422})


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
        self._where = f"pinecone {host.rpartition('@')[2]}"
        self._indexes: dict[str, Index] = {}
        self._last_writes = LastWrites()
        self._parallel = Parallel(settings.max_parallel_requests, "pinecone")
        with self._errors("connect"):
            self._client = Pinecone(
                api_key=api_key.get_secret_value(),
                host=None if host == "cloud" else host,
                timeout=timeout_seconds,
            )

    # -- generations ------------------------------------------------------------------------

    def create(self, generation: Generation) -> None:
        """Make the model version's index where missing, and the generation's marker in it."""
        name = index_name(generation)
        if self._find(generation) is None:
            field = {
                "type": "dense_vector",
                "dimension": generation.dimension,
                "metric": "cosine",
            }
            try:
                with self._errors(f"create index {name!r}"):
                    self._client.indexes.create(
                        name=name,
                        schema={"fields": {"vector": field}},
                        deployment={
                            "deployment_type": "managed",
                            "cloud": self._settings.cloud,
                            "region": self._settings.region,
                        },
                        tags=tags(generation),
                        timeout=CREATE_SECONDS,
                    )
            except IndexRejected as error:
                if not isinstance(error.__cause__, ConflictError):
                    raise
        index, marker = self._open(generation), generation_marker(generation.name)
        try:
            with self._errors(f"create namespace {marker!r}"):
                index.create_namespace(name=marker)
        except IndexRejected as error:
            if not isinstance(error.__cause__, ConflictError):
                raise
            return
        for gone in tenants_in(self._last_writes.namespaces(name), generation).values():
            self._last_writes.forget((name, gone))

    def exists(self, generation: Generation) -> bool:
        """Whether the index is there and holds a namespace of the generation."""
        index = self._find(generation)
        return index is not None and generation.name in generations_in(self._namespaces(index))

    def drop(self, generation: Generation) -> None:
        """Delete the generation's namespaces, the marker last; then the index if it is empty."""
        index = self._find(generation)
        if index is None:
            return
        name, doomed = index_name(generation), tenants_in(self._namespaces(index), generation)
        for alias, target in self._aliases(index).items():
            if target in doomed.values() and is_ours(alias, target):
                with self._errors(f"delete namespace alias {alias!r}"):
                    index._http.delete(alias_path(alias))

        def delete(namespace: str) -> None:
            with self._errors(f"delete namespace {namespace!r}"), suppress(NotFoundError):
                index.delete_namespace(name=namespace)
            self._last_writes.forget((name, namespace))

        marker = generation_marker(generation.name)
        self._parallel.each(delete, list(doomed.values()))
        delete(marker)
        # A deleted namespace may still be listed for a while.
        if self._namespaces(index).keys() <= {marker, *doomed.values()}:
            with self._errors(f"delete index {name!r}"):
                self._client.indexes.delete(name)
            self._indexes.pop(name).close()

    def generation_names(self, index: str) -> list[str]:
        """Generations that have a namespace in any of the platform's indexes, sorted."""
        with self._errors("list indexes"):
            found = [m.name for m in self._client.indexes.list() if is_tagged(m.tags, index)]
        opened = [self._indexes.get(name) or self._connect(name) for name in found]
        return sorted(set().union(*(generations_in(self._namespaces(one)) for one in opened)))

    def point(self, generation: Generation) -> None:
        """Let a namespace alias named like each tenant stand for its namespace here.

        Only in the index of this model version, one alias after the other, for tenants whose
        names Pinecone admits, and at most 1,000. Aliases to other generations are removed where
        this one has no such tenant, so that nothing that is gone is served.

        Raises:
            IndexRejected: A tenant's alias stands for a namespace the platform did not create.
        """
        index = self._open(generation)
        current = self._aliases(index)
        tenants = tenants_in(self._namespaces(index), generation)
        changes = alias_changes(current, tenants, generation)
        for alias in changes.foreign:
            raise IndexRejected(
                f"{self._where}: namespace alias {alias!r} stands for {current[alias]!r}, which "
                "the platform did not create; remove that alias"
            )
        if changes.without:
            logger.warning(
                "an index holds no more aliases: %d tenants without", len(changes.without)
            )
        with self._errors("point namespace aliases"):
            for alias in changes.delete:
                index._http.delete(alias_path(alias))
            for alias, target in changes.create.items():
                body = {"name": alias, "target_namespace": target}
                index._http.post("/namespace-aliases", json=body)
            for alias, target in changes.repoint.items():
                index._http.patch(alias_path(alias), json={"target_namespace": target})

    # -- rows -------------------------------------------------------------------------------

    def upsert(self, generation: Generation, rows: pa.RecordBatch, *, fresh: bool = False) -> None:
        """Write rows in parallel requests; one that is refused is found by halving."""
        index, name = self._open(generation), index_name(generation)
        namespace_of = partial(namespace_name, generation=generation.name)

        def write(part: pa.RecordBatch) -> dict[str, str]:
            documents, refused = pinecone_documents(part, generation.dimension, namespace_of)
            for namespace, own in documents.items():
                send = partial(self._send, index, (name, namespace))
                for batch in batches_by_size(
                    own, max_rows=self._settings.batch_rows, max_bytes=REQUEST_BYTES
                ):
                    refused |= write_or_refuse(send, batch, key="_id", reason=_row_reason)
            return refused

        refused: dict[str, str] = {}
        parts = list(by_tenant(rows, self._settings.batch_rows))
        for reasons in self._parallel.each(write, parts):
            refused |= reasons
        if refused:
            raise RowsRejected(refused)

    def _send(self, index: Index, place: Place, documents: list[dict[str, Any]]) -> None:
        with self._doubting(place), self._errors("upsert"):
            answer = index.documents.upsert(namespace=place[1], documents=documents)
        if (position := logged_position(answer)) is None:
            raise IndexRejected(
                f"{self._where}: a write was acknowledged without its log position, so nobody "
                "can tell when it becomes visible; the server does not speak API version 2026-07"
            )
        last = documents[-1]
        self._last_writes.add(place, Write(position, last["_id"], last["digest"]))

    def delete(self, generation: Generation, tenant: str, ids: Sequence[str]) -> None:
        """Remove rows from the tenant's namespace."""
        index = self._open(generation)
        namespace = namespace_name(tenant, generation.name)
        place = (index_name(generation), namespace)

        def remove(some: Sequence[str]) -> None:
            with self._doubting(place), self._if_there("delete"):
                answer = index.documents.delete(namespace=namespace, ids=list(some))
                # Without a position the namespace does not exist, and nothing was removed.
                if (position := logged_position(answer)) is not None:
                    self._last_writes.add(place, Write(position, some[-1], None))

        self._parallel.each(remove, list(pages(ids, REQUEST_IDS)))

    def fence(self, generation: Generation) -> None:
        """Wait until searches, fetches and lists show every acknowledged write.

        Where this object wrote, its last write must show. A namespace it has not fenced yet may
        have been written to by an earlier process; then everything there is waited for.
        """
        index, name = self._open(generation), index_name(generation)
        listed = self._namespaces(index).keys() | self._last_writes.namespaces(name)
        probe = [1.0] + [0.0] * (generation.dimension - 1)

        def wait(namespace: str) -> None:
            place = (name, namespace)
            if self._last_writes.settled(place):
                return
            fence = NamespaceFence(
                index.documents,
                namespace,
                probe=probe,
                guard=self._if_there,
                seconds=self._fence_seconds,
            )
            write = self._last_writes.pending(place)
            if write is None:
                fence.await_all()
            else:
                fence.await_write(write)
            self._last_writes.settle(place, write)

        self._parallel.each(wait, list(tenants_in(listed, generation).values()))

    def tenants(self, generation: Generation) -> list[str]:
        """Tenants with rows; a namespace counted as empty is looked into, counts may lag."""
        index = self._open(generation)
        counts = self._namespaces(index)

        def has_rows(namespace: str) -> bool:
            first = None
            with self._if_there("list documents"):
                first = next(iter(index.documents.list(namespace=namespace, limit=1)), None)
            return first is not None

        found = tenants_in(counts, generation).items()
        return sorted(tenant for tenant, name in found if counts[name] or has_rows(name))

    def keys(
        self,
        generation: Generation,
        tenant: str,
        ids: Sequence[str] | None = None,
        *,
        sample: DigestSample = EVERY_DIGEST,
    ) -> Iterator[pa.RecordBatch]:
        """Every id that the namespace lists, with the digest that a fetch shows.

        A fetch costs a read unit a row, so of listed ids only the sample's are fetched. One that
        lists and cannot be fetched, or says it is another tenant's, has an empty digest: whatever
        it is, it differs. Ids that are asked for by name are fetched without being listed.
        """
        index = self._open(generation)
        namespace = namespace_name(tenant, generation.name)

        def fetch(some: Sequence[str]) -> pa.RecordBatch:
            wanted = [row_id for row_id in some if ids is not None or sample.has(row_id)]
            stored: dict[str, Any] = {}
            if wanted:
                with self._if_there("fetch digests"):
                    stored = index.documents.fetch(
                        namespace=namespace, ids=wanted, include_fields=["digest", "tenant"]
                    ).documents
            shown = some if ids is None else [row_id for row_id in wanted if row_id in stored]
            digests: dict[str, str | None] = dict.fromkeys(shown)
            for row_id in digests.keys() & set(wanted):
                row = stored[row_id].to_dict() if row_id in stored else {}
                # The namespace decides whom a row is served to, whatever the row says of itself.
                own = row.get("tenant") == tenant
                digests[row_id] = (row.get("digest") or "") if own else ""
            return key_batch([(row_id, tenant, digest) for row_id, digest in digests.items()])

        asked = self._listed(index, namespace) if ids is None else pages(ids, REQUEST_IDS)
        yield from self._parallel.ahead(fetch, asked)

    def vectors(
        self, generation: Generation, tenant: str, ids: Sequence[str]
    ) -> dict[str, np.ndarray]:
        """Stored vectors of a tenant's rows."""
        index = self._open(generation)
        namespace = namespace_name(tenant, generation.name)

        def fetch(some: Sequence[str]) -> dict[str, np.ndarray]:
            stored: dict[str, Any] = {}
            with self._if_there("fetch vectors"):
                stored = index.documents.fetch(
                    namespace=namespace, ids=list(some), include_fields=["vector"]
                ).documents
            return {i: np.asarray(row.get("vector"), np.float32) for i, row in stored.items()}

        found: dict[str, np.ndarray] = {}
        for part in self._parallel.each(fetch, list(pages(ids, VECTORS_A_FETCH))):
            found |= part
        return found

    def count(self, generation: Generation) -> int:
        """Sum of the namespaces' record counts."""
        counts = self._namespaces(self._open(generation))
        return sum(counts[namespace] for namespace in tenants_in(counts, generation).values())

    def search(
        self, generation: Generation, vector: np.ndarray, *, k: int, tenant: str | None = None
    ) -> list[Hit]:
        """The k nearest rows by cosine; over all tenants, the best of every namespace's best."""
        index = self._open(generation)
        query = DenseVectorQuery(field="vector", values=np.asarray(vector, np.float32).tolist())

        def nearest(namespace: str) -> list[Hit]:
            matches: list[Any] = []
            with self._if_there("search"):
                matches = index.documents.search(
                    namespace=namespace, score_by=[query], top_k=k, include_fields=list(HIT_FIELDS)
                ).matches
            return [hit_of(match.id, match.score or 0.0, match.to_dict()) for match in matches]

        if tenant is not None:
            return best(nearest(namespace_name(tenant, generation.name)), k)
        namespaces = list(tenants_in(self._namespaces(index), generation).values())
        return best((hit for hits in self._parallel.each(nearest, namespaces) for hit in hits), k)

    def nearest(
        self, generation: Generation, vectors: np.ndarray, *, k: int, tenant: str | None = None
    ) -> list[list[str]]:
        """Several searches at once; over all tenants, where each of them is several, in turn."""
        if tenant is None:
            return super().nearest(generation, vectors, k=k)

        def find(vector: np.ndarray) -> list[str]:
            return [hit.id for hit in self.search(generation, vector, k=k, tenant=tenant)]

        return self._parallel.each(find, list(vectors))

    def close(self) -> None:
        """Finish what is under way and close the connections."""
        self._parallel.close()
        for index in self._indexes.values():
            index.close()
        self._client.close()

    # -- shared steps -----------------------------------------------------------------------

    def _find(self, generation: Generation) -> Index | None:
        """The model version's index, seen to be the platform's; None when there is none."""
        name = index_name(generation)
        with self._errors(f"describe index {name!r}"), suppress(NotFoundError):
            model = self._client.indexes.describe(name)
            odd = {k: v for k, v in tags(generation).items() if (model.tags or {}).get(k) != v}
            if odd:
                raise IndexRejected(
                    f"{self._where}: index {name!r} exists without the tag(s) {odd} of the "
                    "platform; delete it, or give the index another name"
                )
            return self._indexes.get(name) or self._connect(name)
        self._indexes.pop(name, None)
        return None

    def _open(self, generation: Generation) -> Index:
        index = self._indexes.get(index_name(generation)) or self._find(generation)
        if index is None:
            raise IndexRejected(
                f"{self._where}: there is no index {index_name(generation)!r} for "
                f"{generation.index} {generation.name}; build the generation again"
            )
        return index

    def _connect(self, name: str) -> Index:
        with self._errors(f"open index {name!r}"):
            self._indexes[name] = self._client.index(name)
        return self._indexes[name]

    def _namespaces(self, index: Index) -> dict[str, int]:
        """Name -> record count of all namespaces."""
        with self._errors("list namespaces"):
            listed = index.list_namespaces(limit=PAGE_NAMES)
            return {ns.name: int(ns.record_count) for page in listed for ns in page.namespaces}

    def _aliases(self, index: Index) -> dict[str, str]:
        """Alias -> target of all namespace aliases. The SDK has no method for them."""
        found: dict[str, str] = {}
        token: str | None = None
        while True:
            page = {"limit": PAGE_NAMES} | ({"paginationToken": token} if token else {})
            with self._errors("list namespace aliases"):
                answer = index._http.get("/namespace-aliases", params=page).json()
            found |= {a["name"]: a["target_namespace"] for a in answer["namespace_aliases"]}
            token = (answer.get("pagination") or {}).get("next")
            if not token:
                return found

    def _listed(self, index: Index, namespace: str) -> Iterator[Sequence[str]]:
        """All ids of a namespace, so many as one fetch takes."""
        ids: list[str] = []
        with self._if_there("list documents"):
            for page in index.documents.list(namespace=namespace, limit=PAGE_NAMES).pages():
                ids += [row.id for row in page.items]
                if len(ids) >= REQUEST_IDS:
                    yield ids
                    ids = []
        if ids:
            yield ids

    @contextmanager
    def _doubting(self, place: Place) -> Iterator[None]:
        """Have the next fence wait for everything when a write gets no answer."""
        try:
            yield
        except IndexUnavailable:
            self._last_writes.doubt(place)
            raise

    @contextmanager
    def _if_there(self, operation: str) -> Iterator[None]:
        """Like `_errors`, but what is not there ends the block in silence."""
        with self._errors(operation), suppress(NotFoundError):
            yield

    @contextmanager
    def _errors(self, operation: str) -> Iterator[None]:
        """Say in our own errors what went wrong where, and whether it may pass by itself."""
        try:
            yield
        except PineconeError as error:
            text = f"{self._where}: {operation}: {error}"
            if _may_pass(error):
                raise IndexUnavailable(text) from error
            raise IndexRejected(text) from error


def _may_pass(error: PineconeError) -> bool:
    if isinstance(error, ApiError):
        return error.status_code >= 500 or error.status_code in (408, 425, 429)
    return isinstance(error, PineconeConnectionError | PineconeTimeoutError)


def _row_reason(error: IndexRejected) -> str | None:
    """What a refusal says of a row, when its value, size or type can be why."""
    cause = error.__cause__
    if isinstance(cause, ApiError) and cause.status_code not in _PERHAPS_THE_ROWS:
        return None
    known = isinstance(cause, ApiError | PineconeValueError | PineconeTypeError)
    return getattr(cause, "message", str(cause)) if known else None
