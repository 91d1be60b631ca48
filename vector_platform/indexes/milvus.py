"""Milvus: one collection a generation, tenants as its partition key.

Belongs here: every call to pymilvus, for a Milvus server and for the embedded Milvus Lite
alike. Does not belong here: names (`naming.py`), conversions and row limits (`stored_rows.py`),
or any decision about what is written (`plan.py`, `sync.py`).
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Final, Literal

import grpc
import numpy as np
import pyarrow as pa
from pydantic import SecretStr
from pymilvus import DataType, MilvusClient
from pymilvus.exceptions import MilvusException

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
from vector_platform.indexes.milvus_terms import (
    among,
    build_params,
    literal,
    mark,
    read_mark,
    search_params,
    upsert_keeps_tenants,
)
from vector_platform.indexes.naming import (
    collection_alias,
    collection_generation,
    collection_name,
)
from vector_platform.indexes.parallel import Parallel
from vector_platform.indexes.stored_rows import (
    HIT_FIELDS,
    MILVUS_FIELD_BYTES,
    best,
    hit_of,
    key_batch,
    milvus_rows,
    pages,
)
from vector_platform.settings import MilvusIndex as MilvusSettings

Consistency = Literal["Bounded", "Strong"]
KEY_FIELDS: Final = ("id", "tenant", "digest")
# Milvus answers at most 16,384 rows a query. Milvus Lite has no such limit and looks at all rows
# of the collection for each query, so there pages are large: 37 MB where every id has 512 bytes.
PAGE_ROWS: Final = 8192
LITE_PAGE_ROWS: Final = 32_768
# Ids named in one filter: some 100 KiB of text that a server parses.
IDS_A_QUERY: Final = 2000
# Rows of a query that carries vectors: 1,000 of 4,096 dimensions are 16 MiB, below gRPC's 64.
VECTOR_PAGE_ROWS: Final = 1000
# Queries of a search that brings back ids: 100 of 4,096 dimensions are 1.6 MiB.
SEARCHES_A_REQUEST: Final = 100
# A server takes messages of up to 64 MiB.
REQUEST_BYTES: Final = 32 * 2**20
# Loading and flushing build indexes on Milvus Lite: minutes for a large collection, not seconds.
SLOW_CALL_FACTOR: Final = 20

# Codes of pymilvus and the server that mean "not now": connection lost, unavailable, out of
# memory, too many requests, rate limit, quota, timeout, and a collection that is being loaded.
_NOT_NOW: Final = frozenset(
    {
        *(2, 3, 4, 8, 9, 10, 106),
        grpc.StatusCode.UNAVAILABLE,
        grpc.StatusCode.DEADLINE_EXCEEDED,
        grpc.StatusCode.RESOURCE_EXHAUSTED,
        grpc.StatusCode.ABORTED,
        grpc.StatusCode.CANCELLED,
    }
)
_NOT_LOADED: Final = 101
# What may be wrong with single rows: unexpected (1), illegal argument (6), invalid parameter
# (1100), and what a server has no code for (65535; Milvus 2.3 says so of a NaN). Anything else
# concerns the collection or the caller.
_PERHAPS_THE_ROWS: Final = frozenset({1, 6, 1100, 65535})

# A gRPC server answers pings that come more often than every five minutes by hanging up, unless
# it is told otherwise; Milvus Lite is not. pymilvus would ping every ten seconds.
KEEPALIVE_MS: Final = 300_000


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
        # pymilvus logs a traceback for every answer that is not a success, expected or not;
        # all of it is in the errors raised here.
        logging.getLogger("pymilvus").setLevel(logging.CRITICAL)
        self._settings = settings
        self._timeout = timeout_seconds
        self._parallel = Parallel(settings.max_parallel_requests, "milvus")
        # A URI may hold a password; a message never does.
        self._where = f"milvus {uri.rpartition('@')[2]}"
        with self._errors("connect"):
            self._client = MilvusClient(
                uri,
                token=token.get_secret_value() if token else "",
                db_name=settings.database,
                timeout=timeout_seconds,
                dedicated=True,
                grpc_options={"grpc.keepalive_time_ms": KEEPALIVE_MS},
            )
        version = str(self._call("get_server_version"))
        self._is_lite = version.startswith("milvus_lite")
        self._page_rows = LITE_PAGE_ROWS if self._is_lite else PAGE_ROWS
        self._write = self._upsert if upsert_keeps_tenants(version) else self._replace

    # -- generations ------------------------------------------------------------------------

    def create(self, generation: Generation) -> None:
        """Make the collection, its index, and load it; each only where missing."""
        name = collection_name(generation)
        if not self._call("has_collection", name):
            self._call(
                "create_collection",
                name,
                schema=_schema(generation),
                num_partitions=self._settings.partitions,
                consistency_level="Bounded",
                properties=mark(generation),
            )
        self._require_own(generation)
        if not self._call("list_indexes", name):
            params = MilvusClient.prepare_index_params()
            params.add_index(
                "vector",
                index_type=self._settings.index_type,
                metric_type="COSINE",
                params=build_params(self._settings),
            )
            self._call("create_index", name, params)
        self._load(name)

    def exists(self, generation: Generation) -> bool:
        """Whether the collection is there and the platform's."""
        name = collection_name(generation)
        return self._call("has_collection", name) and self._mark_of(name) is not None

    def drop(self, generation: Generation) -> None:
        """Drop the collection, and our alias when it still points there."""
        name, alias = collection_name(generation), collection_alias(generation.index)
        if not self._call("has_collection", name):
            return
        self._require_own(generation)
        if alias in self._aliases(name):
            self._call("drop_alias", alias)
        self._call("drop_collection", name)

    def generation_names(self, index: str) -> list[str]:
        """Generations whose collections carry the platform's mark, sorted."""
        names = self._call("list_collections")
        found = ((collection_generation(index, name), name) for name in names)
        return sorted(gen for gen, name in found if gen and self._mark_of(name) is not None)

    def point(self, generation: Generation) -> None:
        """Let the alias `{index}_live` stand for the generation's collection.

        Raises:
            IndexRejected: The alias stands for a collection the platform did not create.
        """
        self._require_own(generation)
        name, alias = collection_name(generation), collection_alias(generation.index)
        if alias in self._aliases(name):
            return
        if alias not in self._aliases(""):
            self._call("create_alias", name, alias)
            return
        target = self._call("describe_alias", alias)["collection_name"]
        if self._mark_of(target) is None:
            raise IndexRejected(
                f"{self._where}: alias {alias!r} stands for {target!r}, which the platform did "
                "not create; remove or rename that alias"
            )
        self._call("alter_alias", name, alias)

    # -- rows -------------------------------------------------------------------------------

    def upsert(self, generation: Generation, rows: pa.RecordBatch, *, fresh: bool = False) -> None:
        """Write rows; one that is refused is found by halving, and the others are written.

        Fresh rows are inserted, which saves a request where an upsert is a deletion and an insert.
        pymilvus repeats an insert whose connection is lost, and a server may then hold two copies:
        `keys` names both, and writing those rows again leaves one.
        """
        name = collection_name(generation)
        send = self._insert if fresh else self._write

        def write(part: pa.RecordBatch) -> dict[str, str]:
            entities, refused = milvus_rows(part, generation.dimension)
            return refused | write_or_refuse(
                lambda entities: send(name, entities),
                entities,
                key="id",
                reason=_row_reason,
            )

        refused: dict[str, str] = {}
        for reasons in self._parallel.each(write, list(_requests(rows, self._settings.batch_rows))):
            refused |= reasons
        if refused:
            raise RowsRejected(refused)

    def delete(self, generation: Generation, tenant: str, ids: Sequence[str]) -> None:
        """Remove rows by id, those of this tenant only.

        Milvus deletes by primary key whatever the tenant, so what belongs to it is read first.
        """
        name = collection_name(generation)
        for page in pages(ids, PAGE_ROWS):
            own = [row["id"] for row in self._rows_of(name, tenant, page, [], "Strong")]
            if own:
                self._call("delete", name, own)

    def fence(self, generation: Generation) -> None:
        """Read the whole collection strongly: what follows sees all that was written before.

        Milvus Lite has no staleness, but searches rows that are not flushed without their index,
        some fifty times slower; there the fence flushes. A server flushes by itself and limits
        how often it may be asked.
        """
        if self._is_lite:
            patience = SLOW_CALL_FACTOR * self._timeout
            self._call("flush", collection_name(generation), timeout=patience)
        self.count(generation)
        probe = np.full(generation.dimension, generation.dimension**-0.5, np.float32)
        self._search(generation, probe, k=1, tenant=None, consistency="Strong")

    def tenants(self, generation: Generation) -> list[str]:
        """Tenants that have rows: whatever is not of a known one, until nothing is left."""
        name = collection_name(generation)
        known: set[str] = set()
        while True:
            others = among("tenant", sorted(known), negated=True) if known else 'id != ""'
            rows = self._query(name, others, ["tenant"], "Strong", limit=self._page_rows)
            found = {row["tenant"] for row in rows}
            if not found - known:
                return sorted(known)
            known |= found

    def keys(
        self,
        generation: Generation,
        tenant: str,
        ids: Sequence[str] | None = None,
        *,
        sample: DigestSample = EVERY_DIGEST,
    ) -> Iterator[pa.RecordBatch]:
        """Ids and all digests, which cost nothing, through the tenant filter that searches use.

        A server stores an id as often as it is inserted, counts every copy and answers one. Where
        it counts more rows of a tenant than it answers, ids are named once for each copy. Milvus
        Lite keeps the newest copy alone, and counts what it answers.
        """
        name, of_tenant = collection_name(generation), f"tenant == {literal(tenant)}"
        conditions = [of_tenant]
        if ids is not None:
            conditions = [
                f"{of_tenant} and {among('id', page)}" for page in pages(ids, IDS_A_QUERY)
            ]
        for condition in conditions:
            found = 0
            for page in self._key_pages(name, condition):
                found += len(page)
                yield _key_batch(page)
            if not self._is_lite and self._count(name, condition, "Bounded") > found:
                for page in self._key_pages(name, condition):
                    copies = self._surplus(name, of_tenant, page)
                    if copies:
                        yield _key_batch(copies)

    def vectors(
        self, generation: Generation, tenant: str, ids: Sequence[str]
    ) -> dict[str, np.ndarray]:
        """Stored vectors of a tenant's rows."""
        name = collection_name(generation)
        return {
            row["id"]: np.asarray(row["vector"], np.float32)
            for page in pages(ids, VECTOR_PAGE_ROWS)
            for row in self._rows_of(name, tenant, page, ["vector"], "Bounded")
        }

    def count(self, generation: Generation) -> int:
        """Rows as `count(*)` has them; collection statistics still count deleted ones."""
        return self._count(collection_name(generation), "", "Strong")

    def deleted_share(self, generation: Generation) -> float | None:
        """From the collection's statistics, which count a deleted row until it is compacted away.

        Milvus Lite keeps no such statistics.
        """
        if self._is_lite:
            return None
        name = collection_name(generation)
        stored = int(self._call("get_collection_stats", name)["row_count"])
        return max(0.0, 1 - self.count(generation) / stored) if stored else 0.0

    def search(
        self, generation: Generation, vector: np.ndarray, *, k: int, tenant: str | None = None
    ) -> list[Hit]:
        """The k nearest rows by cosine."""
        return self._search(generation, vector, k=k, tenant=tenant, consistency="Bounded")

    def nearest(
        self, generation: Generation, vectors: np.ndarray, *, k: int, tenant: str | None = None
    ) -> list[list[str]]:
        """Ids of many searches; a request carries a page of them and brings back no fields."""
        return [
            [hit["id"] for hit in found]
            for start in range(0, len(vectors), SEARCHES_A_REQUEST)
            for found in self._matches(
                generation,
                vectors[start : start + SEARCHES_A_REQUEST],
                k=k,
                tenant=tenant,
                consistency="Bounded",
                fields=(),
            )
        ]

    def close(self) -> None:
        """Finish what is under way and close the connection."""
        self._parallel.close()
        self._client.close()

    # -- shared steps -----------------------------------------------------------------------

    def _search(
        self,
        generation: Generation,
        vector: np.ndarray,
        *,
        k: int,
        tenant: str | None,
        consistency: Consistency,
    ) -> list[Hit]:
        [found] = self._matches(
            generation,
            np.asarray(vector, np.float32)[None, :],
            k=k,
            tenant=tenant,
            consistency=consistency,
            fields=HIT_FIELDS,
        )
        return best((hit_of(hit["id"], hit["distance"], hit["entity"]) for hit in found), k)

    def _matches(
        self,
        generation: Generation,
        vectors: np.ndarray,
        *,
        k: int,
        tenant: str | None,
        consistency: Consistency,
        fields: Sequence[str],
    ) -> Any:
        """What a search answers, for every vector."""
        return self._loaded(
            "search",
            collection_name(generation),
            data=list(np.asarray(vectors, np.float32)),
            anns_field="vector",
            limit=k,
            filter="" if tenant is None else f"tenant == {literal(tenant)}",
            output_fields=list(fields),
            search_params={"metric_type": "COSINE", "params": search_params(self._settings, k)},
            consistency_level=consistency,
        )

    def _upsert(self, name: str, entities: list[dict[str, Any]]) -> None:
        self._call("upsert", name, entities)

    def _insert(self, name: str, entities: list[dict[str, Any]]) -> None:
        self._call("insert", name, entities)

    def _replace(self, name: str, entities: list[dict[str, Any]]) -> None:
        """Delete and insert, for servers whose upsert loses rows (see `upsert_keeps_tenants`).

        A reader may miss the rows for the moment between the two.
        """
        self._call("delete", name, [entity["id"] for entity in entities])
        self._insert(name, entities)

    def _key_pages(self, name: str, condition: str) -> Iterator[list[dict[str, Any]]]:
        """Most tenants fit a page, which is one query; an iterator needs three."""
        page = self._query(name, condition, KEY_FIELDS, "Bounded", limit=self._page_rows)
        if len(page) < self._page_rows:
            if page:
                yield page
            return
        iterator = self._loaded(
            "query_iterator",
            name,
            batch_size=PAGE_ROWS,
            filter=condition,
            output_fields=list(KEY_FIELDS),
            consistency_level="Bounded",
        )
        try:
            while True:
                with self._errors("query_iterator"):
                    page = iterator.next()
                if not page:
                    return
                yield page
        finally:
            iterator.close()

    def _surplus(
        self, name: str, condition: str, rows: Sequence[dict[str, Any]]
    ) -> list[dict[str, Any]]:
        """Rows that are stored more than once, by halving; each once for every further copy."""
        these = among("id", [row["id"] for row in rows])
        copies = self._count(name, f"{condition} and {these}", "Bounded") - len(rows)
        if copies <= 0 or len(rows) == 1:
            return list(rows) * max(copies, 0)
        half = len(rows) // 2
        return [
            row
            for part in (rows[:half], rows[half:])
            for row in self._surplus(name, condition, part)
        ]

    def _count(self, name: str, condition: str, consistency: Consistency) -> int:
        return int(self._query(name, condition, ["count(*)"], consistency)[0]["count(*)"])

    def _query(
        self,
        name: str,
        condition: str,
        fields: Sequence[str],
        consistency: Consistency,
        **options: Any,
    ) -> list[dict[str, Any]]:
        options |= {"filter": condition, "output_fields": list(fields)}
        return list(self._loaded("query", name, consistency_level=consistency, **options))

    def _rows_of(
        self,
        name: str,
        tenant: str,
        ids: Sequence[str],
        fields: Sequence[str],
        consistency: Consistency,
    ) -> list[dict[str, Any]]:
        rows = self._query(name, among("id", ids), ["id", "tenant", *fields], consistency)
        return [row for row in rows if row["tenant"] == tenant]

    def _loaded(self, method: str, name: str, **options: Any) -> Any:
        """Call; where the collection is not in memory (Milvus Lite forgets it), load it first."""
        try:
            return self._call(method, name, **options)
        except IndexRejected as error:
            if _code(error.__cause__) != _NOT_LOADED:
                raise
        self._load(name)
        return self._call(method, name, **options)

    def _load(self, name: str) -> None:
        self._call("load_collection", name, timeout=SLOW_CALL_FACTOR * self._timeout)

    def _aliases(self, name: str) -> list[str]:
        return list(self._call("list_aliases", name)["aliases"])

    def _mark_of(self, name: str) -> dict[str, str] | None:
        return read_mark(self._call("describe_collection", name))

    def _require_own(self, generation: Generation) -> None:
        name, wanted = collection_name(generation), mark(generation)
        found = self._mark_of(name)
        if found is None:
            raise IndexRejected(
                f"{self._where}: collection {name!r} exists and the platform did not create it; "
                "rename it, or give the index another name"
            )
        odd = [key for key, value in wanted.items() if found.get(key) != value]
        if odd:
            shown = ", ".join(f"{key} {found.get(key)!r} instead of {wanted[key]!r}" for key in odd)
            raise IndexRejected(
                f"{self._where}: collection {name!r} was built for something else: {shown}"
            )

    def _call(self, method: str, *args: Any, **options: Any) -> Any:
        with self._errors(method):
            return getattr(self._client, method)(*args, **{"timeout": self._timeout} | options)

    @contextmanager
    def _errors(self, operation: str) -> Iterator[None]:
        """Say in our own errors what went wrong where, and whether it may pass by itself."""
        try:
            yield
        except (MilvusException, grpc.RpcError) as error:
            code = _code(error)
            text = f"{self._where}: {operation}: {_reason(error)}"
            if code in _NOT_NOW or getattr(error, "retriable", False):
                raise IndexUnavailable(text) from error
            raise IndexRejected(text) from error


def _key_batch(rows: Iterable[Mapping[str, str]]) -> pa.RecordBatch:
    return key_batch([(row["id"], row["tenant"], row["digest"]) for row in rows])


def _schema(generation: Generation) -> Any:
    schema = MilvusClient.create_schema(
        auto_id=False, enable_dynamic_field=False, description=json.dumps(mark(generation))
    )
    for field, size in MILVUS_FIELD_BYTES.items():
        schema.add_field(
            field,
            DataType.VARCHAR,
            max_length=size,
            is_primary=field == "id",
            is_partition_key=field == "tenant",
        )
    schema.add_field("attributes", DataType.JSON)
    schema.add_field("vector", DataType.FLOAT_VECTOR, dim=generation.dimension)
    return schema


def _code(error: BaseException | None) -> Any:
    code: Any = getattr(error, "code", None)
    return code() if callable(code) else code


def _requests(rows: pa.RecordBatch, most: int) -> Iterator[pa.RecordBatch]:
    """Cut rows into requests of at most so many, and of no more bytes than a server takes."""
    for start in range(0, rows.num_rows, most):
        part = rows.slice(start, most)
        if part.nbytes > REQUEST_BYTES and part.num_rows > 1:
            yield from _requests(part, part.num_rows // 2)
        else:
            yield part


def _row_reason(error: IndexRejected) -> str | None:
    cause = error.__cause__
    return _reason(cause) if _code(cause) in _PERHAPS_THE_ROWS else None


def _reason(error: BaseException | None) -> str:
    message: Any = getattr(error, "message", None) or getattr(error, "details", None)
    message = message() if callable(message) else message
    return str(message or type(error).__name__).partition(", debug=")[0]
