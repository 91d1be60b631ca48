"""Pinecone: one index a model version, one namespace a tenant and generation.

Belongs here: every call to the pinecone SDK, through the documents API. Does not belong here:
names (`naming.py`), conversions and row limits (`stored_rows.py`), what a fence waits for
(`last_writes.py`), or any decision about what is written (`plan.py`, `sync.py`).

An index's dimension and schema are fixed and a project holds few indexes, while an index holds
many namespaces: hence generations are namespaces `{tenant}@{generation}`.
"""

from __future__ import annotations

import logging
import time
import uuid
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from functools import partial
from typing import Any, Final, TypeVar
from urllib.parse import quote

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
from vector_platform.indexes.last_writes import LastWrites, Write
from vector_platform.indexes.naming import (
    CREATOR,
    generation_marker,
    namespace_alias,
    namespace_name,
    parse_namespace,
    pinecone_index_name,
)
from vector_platform.indexes.stored_rows import (
    HIT_FIELDS,
    batches_by_size,
    best,
    hit_of,
    key_batch,
    pages,
    pinecone_documents,
)
from vector_platform.settings import PineconeIndex as PineconeSettings

Item = TypeVar("Item")
Answer = TypeVar("Answer")
Place = tuple[str, str]  # Pinecone index, namespace

logger = logging.getLogger(__name__)

# Pinecone's limits: bytes of a request (2 MB, less its envelope), ids of a fetch or a delete,
# names of a page, aliases of an index.
REQUEST_BYTES: Final = 2_000_000
REQUEST_IDS: Final = 1000
PAGE_NAMES: Final = 100
INDEX_ALIASES: Final = 1000
# An answer may be 4 MB; 100 vectors of 1,536 dimensions are below it.
VECTORS_A_FETCH: Final = 100
# An index is ready within seconds; a minute is a cloud that is busy.
CREATE_SECONDS: Final = 300
FENCE_FIRST_WAIT_SECONDS: Final = 0.02
FENCE_LONGEST_WAIT_SECONDS: Final = 1.0
# An id that no chunk has (theirs hold a `#`): deleting it writes nothing but a log position.
_NO_ROW: Final = "fence"
# Set on a row by a fence that does not know the last write; readers never ask for it.
_FENCE_FIELD: Final = "fence"
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
        self._last_writes: LastWrites[Place] = LastWrites()
        self._pool = ThreadPoolExecutor(settings.max_parallel_requests, "pinecone")
        with self._errors("connect"):
            self._client = Pinecone(
                api_key=api_key.get_secret_value(),
                host=None if host == "cloud" else host,
                timeout=timeout_seconds,
            )

    # -- generations ------------------------------------------------------------------------

    def create(self, generation: Generation) -> None:
        """Make the model version's index where missing, and the generation's marker in it."""
        name = _index_name(generation)
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
                        tags=_tags(generation),
                        timeout=CREATE_SECONDS,
                    )
            except IndexRejected as error:
                if not isinstance(error.__cause__, ConflictError):
                    raise
        index = self._open(generation)
        marker = generation_marker(generation.name)
        try:
            with self._errors(f"create namespace {marker!r}"):
                index.create_namespace(name=marker)
        except IndexRejected as error:
            if not isinstance(error.__cause__, ConflictError):
                raise

    def exists(self, generation: Generation) -> bool:
        """Whether the index is there and holds a namespace of the generation."""
        index = self._find(generation)
        return index is not None and generation.name in {
            name for _, name in filter(None, map(parse_namespace, self._namespaces(index)))
        }

    def drop(self, generation: Generation) -> None:
        """Delete the generation's namespaces, the marker last; then the index if it is empty."""
        index = self._find(generation)
        if index is None:
            return
        present = self._namespaces(index)
        marker = generation_marker(generation.name)
        doomed = [name for name in present if _belongs(name, generation) and name != marker]
        for alias, target in self._aliases(index).items():
            if _belongs(target, generation) and _is_ours(alias, target):
                with self._errors(f"delete namespace alias {alias!r}"):
                    index._http.delete(_alias_path(alias))
        self._each(partial(self._delete_namespace, index, _index_name(generation)), doomed)
        self._delete_namespace(index, _index_name(generation), marker)
        if all(_belongs(name, generation) for name in self._namespaces(index)):
            with self._errors(f"delete index {_index_name(generation)!r}"):
                self._client.indexes.delete(_index_name(generation))
            self._indexes.pop(_index_name(generation)).close()

    def _delete_namespace(self, index: Index, index_name: str, namespace: str) -> None:
        with self._errors(f"delete namespace {namespace!r}"), suppress(NotFoundError):
            index.delete_namespace(name=namespace)
        self._last_writes.forget((index_name, namespace))

    def generation_names(self, index: str) -> list[str]:
        """Generations that have a namespace in any of the platform's indexes, sorted."""
        with self._errors("list indexes"):
            models = [m for m in self._client.indexes.list() if _is_tagged(m.tags, index)]
        names: set[str] = set()
        for model in models:
            opened = self._indexes.get(model.name) or self._connect(model.name)
            found = filter(None, map(parse_namespace, self._namespaces(opened)))
            names |= {generation for _, generation in found}
        return sorted(names)

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
        wanted = {
            alias: namespace_name(tenant, generation.name)
            for tenant in self._tenant_namespaces(generation)
            if (alias := namespace_alias(tenant)) is not None
        }
        foreign = [name for name in wanted.keys() & current if not _is_ours(name, current[name])]
        if foreign:
            raise IndexRejected(
                f"{self._where}: namespace alias {foreign[0]!r} stands for "
                f"{current[foreign[0]]!r}, which the platform did not create; remove that alias"
            )
        stale = [n for n in current if n not in wanted and _is_ours(n, current[n])]
        room = INDEX_ALIASES - (len(current) - len(stale))
        missing = sorted(wanted.keys() - current.keys())
        if missing[room:]:
            logger.warning("%d tenants have no alias: an index holds 1,000", len(missing[room:]))
        with self._errors("point namespace aliases"):
            for alias in stale:
                index._http.delete(_alias_path(alias))
            for alias in missing[:room]:
                body = {"name": alias, "target_namespace": wanted[alias]}
                index._http.post("/namespace-aliases", json=body)
            for alias in sorted(wanted.keys() & current.keys()):
                if current[alias] != wanted[alias]:
                    body = {"target_namespace": wanted[alias]}
                    index._http.patch(_alias_path(alias), json=body)

    # -- rows -------------------------------------------------------------------------------

    def upsert(self, generation: Generation, rows: pa.RecordBatch) -> None:
        """Write rows in parallel requests; one that is refused is found by halving."""
        index, index_name = self._open(generation), _index_name(generation)
        documents, refused = pinecone_documents(
            rows, generation.dimension, partial(namespace_name, generation=generation.name)
        )
        requests = [
            ((index_name, namespace), batch)
            for namespace, own in documents.items()
            for batch in batches_by_size(
                own, max_rows=self._settings.batch_rows, max_bytes=REQUEST_BYTES
            )
        ]
        for reasons in self._each(lambda request: self._upsert(index, *request), requests):
            refused |= reasons
        if refused:
            raise RowsRejected(refused)

    def _upsert(
        self, index: Index, place: Place, documents: list[dict[str, Any]]
    ) -> dict[str, str]:
        try:
            with self._errors("upsert"):
                answer = index.documents.upsert(namespace=place[1], documents=documents)
        except IndexRejected as error:
            cause = error.__cause__
            if not _may_be_a_row(cause):
                raise
            if len(documents) == 1:
                return {documents[0]["_id"]: str(cause)}
            half = len(documents) // 2
            return self._upsert(index, place, documents[:half]) | self._upsert(
                index, place, documents[half:]
            )
        if (position := _logged(answer)) is None:
            raise IndexRejected(
                f"{self._where}: a write was acknowledged without its log position, so nobody "
                "can tell when it becomes visible; the server does not speak API version 2026-07"
            )
        last = documents[-1]
        self._last_writes.add(place, Write(position, last["_id"], last["digest"]))
        return {}

    def delete(self, generation: Generation, tenant: str, ids: Sequence[str]) -> None:
        """Remove rows from the tenant's namespace."""
        index = self._open(generation)
        namespace = namespace_name(tenant, generation.name)

        def remove(some: Sequence[str]) -> None:
            with self._errors("delete"), suppress(NotFoundError):
                answer = index.documents.delete(namespace=namespace, ids=list(some))
                # Without a position the namespace does not exist, and nothing was removed.
                if (position := _logged(answer)) is not None:
                    write = Write(position, some[-1], None)
                    self._last_writes.add((_index_name(generation), namespace), write)

        self._each(remove, list(pages(ids, REQUEST_IDS)))

    def fence(self, generation: Generation) -> None:
        """Wait until searches, fetches and lists show every acknowledged write.

        Where this object wrote, its last write must show. Where it did not, an earlier process
        may have: deleting a row that does not exist gives a log position after all of its
        writes, and a mark set on a row shows when fetches have got that far.
        """
        index, index_name = self._open(generation), _index_name(generation)
        known = {ns for name, ns in self._last_writes.places() if name == index_name}
        listed = self._namespaces(index).keys()
        namespaces = sorted(ns for ns in known | listed if _belongs(ns, generation))
        own = [ns for ns in namespaces if ns != generation_marker(generation.name)]
        self._each(lambda ns: self._fence(index, generation, (index_name, ns)), own)

    def _fence(self, index: Index, generation: Generation, place: Place) -> None:
        documents, namespace = index.documents, place[1]
        write = self._last_writes.pending(place)
        if write is None and not self._last_writes.unknown(place):
            return
        position: int | None = None
        if write is None:
            with self._errors("fence"), suppress(NotFoundError):
                position = _logged(documents.delete(namespace=namespace, ids=[_NO_ROW]))
            if position is None:
                return  # it went away since it was listed
        else:
            position = write.position
        found: list[str] = []

        def searches_show_it() -> bool:
            answer = documents.search(
                namespace=namespace,
                score_by=[DenseVectorQuery(field="vector", values=_probe(generation.dimension))],
                top_k=1,
            )
            found[:] = [match.id for match in answer.matches]
            info = answer.response_info
            return info is not None and position is not None and info.is_reconciled(position)

        self._wait("search", namespace, searches_show_it)
        field, row_id, value = "digest", write.id if write else None, write and write.digest
        if write is None and found:
            field, row_id, value = _FENCE_FIELD, found[0], uuid.uuid4().hex
            with self._errors("fence"):
                documents.update(namespace=namespace, documents=[{"_id": row_id, field: value}])

        def fetches_show_it() -> bool:
            if row_id is None:
                return True
            fetched = documents.fetch(namespace=namespace, ids=[row_id], include_fields=[field])
            stored = fetched.documents.get(row_id)
            return (None if stored is None else stored.get(field)) == value

        def lists_show_it() -> bool:
            # The shortest id of a prefix comes first: the row itself, when it is there.
            first = next(iter(documents.list(namespace=namespace, prefix=row_id, limit=1)), None)
            there = first is not None and (row_id is None or first.id == row_id)
            return there == (value is not None)

        self._wait("fetch", namespace, fetches_show_it)
        self._wait("list", namespace, lists_show_it)
        self._last_writes.settle(place, write)

    def _wait(self, what: str, namespace: str, visible: Callable[[], bool]) -> None:
        deadline = time.monotonic() + self._fence_seconds
        pause = FENCE_FIRST_WAIT_SECONDS
        while True:
            with self._errors(f"fence {what}"), suppress(NotFoundError):
                if visible():
                    return
            if time.monotonic() + pause > deadline:
                raise IndexUnavailable(
                    f"{self._where}: {what} of namespace {namespace!r} does not show the last "
                    f"write after {self._fence_seconds:.0f} s; run this again"
                )
            time.sleep(pause)
            pause = min(2 * pause, FENCE_LONGEST_WAIT_SECONDS)

    def tenants(self, generation: Generation) -> list[str]:
        """Tenants with rows; a namespace counted as empty is looked into, counts may lag."""
        index = self._open(generation)
        found = []
        for tenant, (namespace, count) in self._tenant_namespaces(generation).items():
            with self._errors("list documents"):
                rows = index.documents.list(namespace=namespace, limit=1)
                if count or next(iter(rows), None) is not None:
                    found.append(tenant)
        return sorted(found)

    def keys(self, generation: Generation, tenant: str) -> Iterator[pa.RecordBatch]:
        """Every id that the namespace lists, with the digest and tenant that a fetch shows.

        An id that lists and cannot be fetched has an empty digest: whatever it is, it differs.
        """
        index = self._open(generation)
        namespace = namespace_name(tenant, generation.name)

        def fetch(ids: list[str]) -> pa.RecordBatch:
            with self._errors("fetch digests"):
                stored = index.documents.fetch(
                    namespace=namespace, ids=ids, include_fields=["digest", "tenant"]
                ).documents
            rows = [(i, stored[i].to_dict() if i in stored else {}) for i in ids]
            return key_batch(
                [(i, row.get("tenant") or tenant, row.get("digest") or "") for i, row in rows]
            )

        yield from self._ahead(fetch, self._listed(index, namespace))

    def vectors(
        self, generation: Generation, tenant: str, ids: Sequence[str]
    ) -> dict[str, np.ndarray]:
        """Stored vectors of a tenant's rows."""
        index = self._open(generation)
        namespace = namespace_name(tenant, generation.name)

        def fetch(some: Sequence[str]) -> dict[str, np.ndarray]:
            with self._errors("fetch vectors"), suppress(NotFoundError):
                stored = index.documents.fetch(
                    namespace=namespace, ids=list(some), include_fields=["vector"]
                ).documents
                return {i: np.asarray(row.get("vector"), np.float32) for i, row in stored.items()}
            return {}

        found: dict[str, np.ndarray] = {}
        for part in self._each(fetch, list(pages(ids, VECTORS_A_FETCH))):
            found |= part
        return found

    def count(self, generation: Generation) -> int:
        """Sum of the namespaces' record counts."""
        return sum(count for _, count in self._tenant_namespaces(generation).values())

    def search(
        self, generation: Generation, vector: np.ndarray, *, k: int, tenant: str | None = None
    ) -> list[Hit]:
        """The k nearest rows by cosine; over all tenants, the best of every namespace's best."""
        index = self._open(generation)
        query = DenseVectorQuery(field="vector", values=np.asarray(vector, np.float32).tolist())

        def nearest(namespace: str) -> list[Hit]:
            with self._errors("search"), suppress(NotFoundError):
                found = index.documents.search(
                    namespace=namespace, score_by=[query], top_k=k, include_fields=list(HIT_FIELDS)
                )
                return [hit_of(m.id, m.score or 0.0, m.to_dict()) for m in found.matches]
            return []

        if tenant is not None:
            return best(nearest(namespace_name(tenant, generation.name)), k)
        namespaces = [name for name, _ in self._tenant_namespaces(generation).values()]
        return best((hit for hits in self._each(nearest, namespaces) for hit in hits), k)

    def close(self) -> None:
        """Finish what is under way and close the connections."""
        self._pool.shutdown()
        for index in self._indexes.values():
            index.close()
        self._client.close()

    # -- shared steps -----------------------------------------------------------------------

    def _find(self, generation: Generation) -> Index | None:
        """The model version's index, known to be the platform's; None when there is none."""
        name = _index_name(generation)
        if name in self._indexes:
            return self._indexes[name]
        with self._errors(f"describe index {name!r}"), suppress(NotFoundError):
            model = self._client.indexes.describe(name)
            odd = {k: v for k, v in _tags(generation).items() if (model.tags or {}).get(k) != v}
            if odd:
                raise IndexRejected(
                    f"{self._where}: index {name!r} exists without the tag(s) {odd} of the "
                    "platform; delete it, or give the index another name"
                )
            return self._connect(name)
        return None

    def _open(self, generation: Generation) -> Index:
        index = self._find(generation)
        if index is None:
            raise IndexRejected(
                f"{self._where}: there is no index {_index_name(generation)!r} for "
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

    def _tenant_namespaces(self, generation: Generation) -> dict[str, tuple[str, int]]:
        """Tenant -> namespace and record count, of one generation."""
        return {
            parsed[0]: (namespace, count)
            for namespace, count in self._namespaces(self._open(generation)).items()
            if (parsed := parse_namespace(namespace)) and parsed[0] and parsed[1] == generation.name
        }

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

    def _listed(self, index: Index, namespace: str) -> Iterator[list[str]]:
        """All ids of a namespace, so many as one fetch takes."""
        ids: list[str] = []
        with self._errors("list documents"), suppress(NotFoundError):
            for page in index.documents.list(namespace=namespace, limit=PAGE_NAMES).pages():
                ids += [row.id for row in page.items]
                if len(ids) >= REQUEST_IDS:
                    yield ids
                    ids = []
        if ids:
            yield ids

    def _each(self, call: Callable[[Item], Answer], items: Sequence[Item]) -> list[Answer]:
        """Call for every item in parallel; all are tried, then the first failure is raised."""
        futures = [self._pool.submit(call, item) for item in items]
        for future in futures:
            future.exception()
        return [future.result() for future in futures]

    def _ahead(self, call: Callable[[Item], Answer], items: Iterable[Item]) -> Iterator[Answer]:
        """Call for every item, in order, a few ahead of the reader."""
        running: deque[Future[Answer]] = deque()
        for item in items:
            running.append(self._pool.submit(call, item))
            if len(running) > self._settings.max_parallel_requests:
                yield running.popleft().result()
        while running:
            yield running.popleft().result()

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


def _may_be_a_row(error: BaseException | None) -> bool:
    """Whether a single row can be why a write was refused: its value, its size, its type."""
    if isinstance(error, ApiError):
        return error.status_code in _PERHAPS_THE_ROWS
    return isinstance(error, PineconeValueError | PineconeTypeError)


def _logged(answer: Any) -> int | None:
    """Log position of a write, if it wrote; later writes of the namespace have higher ones."""
    info = answer.response_info
    return None if info is None else info.lsn_committed


def _index_name(generation: Generation) -> str:
    return pinecone_index_name(generation.index, generation.model_version)


def _tags(generation: Generation) -> dict[str, str]:
    return {
        "creator": CREATOR,
        "index": generation.index,
        "model_version": generation.model_version,
        "dimension": str(generation.dimension),
    }


def _is_tagged(tags: dict[str, str] | None, index: str) -> bool:
    return tags is not None and tags.get("creator") == CREATOR and tags.get("index") == index


def _belongs(namespace: str, generation: Generation) -> bool:
    parsed = parse_namespace(namespace)
    return parsed is not None and parsed[1] == generation.name


def _is_ours(alias: str, target: str) -> bool:
    """Whether an alias is one that `point` makes: named like the tenant it stands for."""
    parsed = parse_namespace(target)
    return parsed is not None and parsed[0] == alias


def _alias_path(alias: str) -> str:
    return f"/namespace-aliases/{quote(alias, safe='')}"


def _probe(dimension: int) -> list[float]:
    return [1.0] + [0.0] * (dimension - 1)
