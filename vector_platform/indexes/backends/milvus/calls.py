"""Talking to Milvus: the connection, single requests, and what goes wrong with them.

Belongs here: the pymilvus client, for a Milvus server and for the embedded Milvus Lite alike:
timeouts, pages, loading what is not in memory, errors in our own terms. Rows are named by a
`Filter` alone, and names of collections, aliases and databases are looked at here.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final, Literal, get_args

import grpc
from pydantic import SecretStr
from pymilvus import MilvusClient
from pymilvus.exceptions import MilvusException

from vector_platform.indexes.backends.milvus.filters import Filter, after
from vector_platform.indexes.contract import IndexRejected, IndexUnavailable

Consistency = Literal["Bounded", "Strong"]
# What is done to collections and aliases as a whole. Whatever names rows has a method of its own,
# because the client makes an unescaped expression of the ids that it is given.
Verb = Literal[
    "alter_alias",
    "alter_collection_properties",
    "create_alias",
    "create_collection",
    "create_index",
    "describe_alias",
    "describe_collection",
    "drop_alias",
    "drop_collection",
    "flush",
    "get_collection_stats",
    "get_server_version",
    "has_collection",
    "list_aliases",
    "list_collections",
    "list_indexes",
    "load_collection",
]
# Names that Milvus takes; Milvus Lite makes folders of them.
_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,254}")
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
        self._require_names(database)
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

    def call(self, verb: Verb, *names: Any, **options: Any) -> Any:
        """Do something to a collection or an alias as a whole.

        Raises:
            IndexRejected: A name is none that Milvus takes.
        """
        if verb not in get_args(Verb):
            raise ValueError(f"{verb} may name rows; it needs a method that takes a filter")
        self._require_names(*(name for name in names if isinstance(name, str) and name))
        return self._call(verb, *names, **options)

    def call_slow(self, verb: Verb, name: str) -> None:
        """Load, flush or drop a collection, for as long as that may take."""
        self.call(verb, name, timeout=SLOW_CALL_FACTOR * self._timeout)

    def insert(self, name: str, entities: list[dict[str, Any]]) -> None:
        """Add rows; one that is there already is there twice on a server."""
        self._require_names(name)
        self._call("insert", name, entities)

    def upsert(self, name: str, entities: list[dict[str, Any]]) -> None:
        """Write rows in place of those with the same ids."""
        self._require_names(name)
        self._call("upsert", name, entities)

    def delete(self, name: str, rows: Filter) -> None:
        """Remove the rows that meet a condition."""
        self._require_names(name)
        self._call("delete", name, filter=rows.text)

    def query(
        self,
        name: str,
        rows: Filter,
        fields: Sequence[str],
        consistency: Consistency,
        **options: Any,
    ) -> list[dict[str, Any]]:
        """Fields of the rows that meet a condition."""
        options |= {"filter": rows.text, "output_fields": list(fields)}
        return list(self._call_loaded("query", name, consistency_level=consistency, **options))

    def search(
        self, name: str, rows: Filter, *, consistency: Consistency, **options: Any
    ) -> list[list[dict[str, Any]]]:
        """The nearest among the rows that meet a condition, for each of the vectors."""
        options |= {"filter": rows.text, "consistency_level": consistency}
        return list(self._call_loaded("search", name, **options))

    def count(self, name: str, rows: Filter, consistency: Consistency) -> int:
        """How many rows meet a condition; every copy of one counts."""
        return int(self.query(name, rows, ["count(*)"], consistency)[0]["count(*)"])

    def query_pages(
        self,
        name: str,
        rows: Filter,
        fields: Sequence[str],
        consistency: Consistency = "Bounded",
    ) -> Iterator[list[dict[str, Any]]]:
        """The same in pages; most conditions are met by no more rows than fit one.

        The client has an iterator for more. It puts the last id of a page into the next expression
        as it is, so that a quote in an id breaks the scan and a backslash leads it astray.
        """
        fields = ["id", *(field for field in fields if field != "id")]
        page = self.query(name, rows, fields, consistency, limit=self.page_rows)
        if len(page) < self.page_rows:
            if page:
                yield page
            return
        # In the order of ids, and no row beyond one that a part of the server has not named yet: a
        # page ends where any part of the server does, so only an empty one is the last.
        ordered = {"limit": self.page_rows, "iterator": "True", "reduce_stop_for_best": "True"}
        those, last = rows, ""
        while page := self.query(name, those, fields, consistency, **ordered):
            yield page
            if not last < page[0]["id"] <= page[-1]["id"]:
                raise IndexRejected(f"{self.where}: query: a page is not in the order of ids")
            last = page[-1]["id"]
            those = rows & after(last)

    def close(self) -> None:
        """Close the connection."""
        self._client.close()

    def _call(self, method: str, *args: Any, **options: Any) -> Any:
        with self._errors(method):
            return getattr(self._client, method)(*args, **{"timeout": self._timeout} | options)

    def _call_loaded(self, method: str, name: str, **options: Any) -> Any:
        """Call; where the collection is not in memory (Milvus Lite forgets it), load it first."""
        self._require_names(name)
        try:
            return self._call(method, name, **options)
        except IndexRejected as error:
            if _code(error.__cause__) != _NOT_LOADED:
                raise
        self.call_slow("load_collection", name)
        return self._call(method, name, **options)

    def _require_names(self, *names: str) -> None:
        for name in names:
            if not _NAME.fullmatch(name):
                raise IndexRejected(
                    f"{self.where}: {name!r:.80} names no collection, alias or database: letters, "
                    "digits and underscores do, 255 at most, the first no digit"
                )

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
