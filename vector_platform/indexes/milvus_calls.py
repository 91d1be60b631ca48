"""Talking to Milvus: the connection, single requests, and what goes wrong with them.

Belongs here: the pymilvus client, for a Milvus server and for the embedded Milvus Lite alike:
timeouts, pages, loading what is not in memory, errors in our own terms. Does not belong here: how
collections are made and told apart (`milvus_collections.py`), or what a promise of `VectorIndex`
takes (`milvus.py`).
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final, Literal

import grpc
from pydantic import SecretStr
from pymilvus import MilvusClient
from pymilvus.exceptions import MilvusException

from vector_platform.indexes.contract import IndexRejected, IndexUnavailable

Consistency = Literal["Bounded", "Strong"]
# Milvus answers at most 16,384 rows a query. Milvus Lite has no such limit and looks at all rows
# of the collection for each query, so there pages are large: 37 MB where every id has 512 bytes.
PAGE_ROWS: Final = 8192
LITE_PAGE_ROWS: Final = 32_768
# Loading and flushing build indexes on Milvus Lite, and dropping removes files: minutes for a large
# collection (a million rows), not seconds.
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


class MilvusCalls:
    """Requests to a Milvus server or Milvus Lite.

    Args:
        uri: Address of the server.
        database: Which of its databases.
        token: Credential, when the server wants one. Never part of a message.
        timeout_seconds: Longest a call may take, reconnecting included.

    Attributes:
        where: Whom an error is about.
        version: What the server says of itself.
        is_lite: Whether it is Milvus Lite.
        page_rows: Rows that one query is asked for at most.
    """

    def __init__(
        self,
        *,
        uri: str,
        database: str,
        token: SecretStr | None,
        timeout_seconds: float,
    ) -> None:
        # pymilvus logs a traceback for every answer that is not a success, expected or not;
        # all of it is in the errors raised here.
        logging.getLogger("pymilvus").setLevel(logging.CRITICAL)
        self._timeout = timeout_seconds
        # A URI may hold a password; a message never does.
        self.where = f"milvus {uri.rpartition('@')[2]}"
        with self._errors("connect"):
            self._client = MilvusClient(
                uri,
                token=token.get_secret_value() if token else "",
                db_name=database,
                timeout=timeout_seconds,
                dedicated=True,
                grpc_options={"grpc.keepalive_time_ms": KEEPALIVE_MS},
            )
        self.version = str(self.call("get_server_version"))
        self.is_lite = self.version.startswith("milvus_lite")
        self.page_rows = LITE_PAGE_ROWS if self.is_lite else PAGE_ROWS

    def call(self, method: str, *args: Any, **options: Any) -> Any:
        """Call a method of the client."""
        with self._errors(method):
            return getattr(self._client, method)(*args, **{"timeout": self._timeout} | options)

    def call_slow(self, method: str, name: str) -> None:
        """Load, flush or drop a collection, for as long as that may take."""
        self.call(method, name, timeout=SLOW_CALL_FACTOR * self._timeout)

    def call_loaded(self, method: str, name: str, **options: Any) -> Any:
        """Call; where the collection is not in memory (Milvus Lite forgets it), load it first."""
        try:
            return self.call(method, name, **options)
        except IndexRejected as error:
            if _code(error.__cause__) != _NOT_LOADED:
                raise
        self.call_slow("load_collection", name)
        return self.call(method, name, **options)

    def query(
        self,
        name: str,
        condition: str,
        fields: Sequence[str],
        consistency: Consistency,
        **options: Any,
    ) -> list[dict[str, Any]]:
        """Fields of the rows that meet a condition."""
        options |= {"filter": condition, "output_fields": list(fields)}
        return list(self.call_loaded("query", name, consistency_level=consistency, **options))

    def count(self, name: str, condition: str, consistency: Consistency) -> int:
        """How many rows meet a condition; every copy of one counts."""
        return int(self.query(name, condition, ["count(*)"], consistency)[0]["count(*)"])

    def query_pages(
        self, name: str, condition: str, fields: Sequence[str]
    ) -> Iterator[list[dict[str, Any]]]:
        """Most tenants fit a page, which is one query; an iterator needs three."""
        page = self.query(name, condition, fields, "Bounded", limit=self.page_rows)
        if len(page) < self.page_rows:
            if page:
                yield page
            return
        iterator = self.call_loaded(
            "query_iterator",
            name,
            batch_size=PAGE_ROWS,
            filter=condition,
            output_fields=list(fields),
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

    def close(self) -> None:
        """Close the connection."""
        self._client.close()

    @contextmanager
    def _errors(self, operation: str) -> Iterator[None]:
        """Say in our own errors what went wrong where, and whether it may pass by itself."""
        try:
            yield
        except (MilvusException, grpc.RpcError) as error:
            code = _code(error)
            text = f"{self.where}: {operation}: {_reason(error)}"
            if code in _NOT_NOW or getattr(error, "retriable", False):
                raise IndexUnavailable(text) from error
            raise IndexRejected(text) from error


def row_reason(error: IndexRejected) -> str | None:
    """What a refusal says of a row, when a row can be why."""
    cause = error.__cause__
    return _reason(cause) if _code(cause) in _PERHAPS_THE_ROWS else None


def _code(error: BaseException | None) -> Any:
    code: Any = getattr(error, "code", None)
    return code() if callable(code) else code


def _reason(error: BaseException | None) -> str:
    message: Any = getattr(error, "message", None) or getattr(error, "details", None)
    message = message() if callable(message) else message
    return str(message or type(error).__name__).partition(", debug=")[0]
