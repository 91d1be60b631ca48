"""Talking to a Pinecone index: single requests, and what goes wrong with them.

Belongs here: the pinecone SDK's requests about namespaces, aliases and documents, through the
documents API: limits, pages, errors in our own terms.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Any, Final

from pinecone import DenseVectorQuery, Index
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

from vector_platform.indexes.backends.pinecone.requests.fence import logged_position
from vector_platform.indexes.backends.pinecone.terms import alias_path
from vector_platform.indexes.contract import IndexRejected, IndexUnavailable

# Pinecone's limits: bytes of a request (2 MB, less its envelope), ids of a fetch or a delete,
# names of a page.
REQUEST_BYTES: Final = 2_000_000
REQUEST_IDS: Final = 1000
PAGE_NAMES: Final = 100
# Statuses that a single row of the request may be the cause of.
_PERHAPS_THE_ROWS: Final = frozenset({400, 413, 422})


class IndexCalls:
    """Requests to one Pinecone index.

    Args:
        index: The SDK's client of it.
        where: Whom an error is about.
    """

    def __init__(self, index: Index, where: str) -> None:
        self._index = index
        self.where = where

    @property
    def documents(self) -> Any:
        """The SDK's documents client; requests through it belong into `if_there`."""
        return self._index.documents

    # -- namespaces and their aliases -------------------------------------------------------

    def namespaces(self) -> dict[str, int]:
        """Name -> record count of all namespaces."""
        with errors(self.where, "list namespaces"):
            listed = self._index.list_namespaces(limit=PAGE_NAMES)
            return {ns.name: int(ns.record_count) for page in listed for ns in page.namespaces}

    def create_namespace(self, name: str) -> bool:
        """Make a namespace; False when it was there."""
        try:
            with errors(self.where, f"create namespace {name!r}"):
                self._index.create_namespace(name=name)
        except IndexRejected as error:
            if not isinstance(error.__cause__, ConflictError):
                raise
            return False
        return True

    def count(self, namespace: str) -> int:
        """Record count of a namespace; 0 when there is none."""
        found: Any = None
        with self.if_there(f"describe namespace {namespace!r}"):
            found = self._index.describe_namespace(name=namespace)
        return 0 if found is None else int(found.record_count)

    def has_namespace(self, name: str) -> bool:
        """Whether there is such a namespace."""
        found: Any = None
        with self.if_there(f"describe namespace {name!r}"):
            found = self._index.describe_namespace(name=name)
        return found is not None

    def statistics(self) -> dict[str, int]:
        """Name -> record count of all namespaces in one answer, for what may be a little late."""
        with errors(self.where, "describe statistics"):
            found = self._index.describe_index_stats().namespaces
        return {name: int(one.vector_count) for name, one in found.items()}

    def delete_namespace(self, name: str) -> None:
        """Delete a namespace and its rows, if it is there."""
        with self.if_there(f"delete namespace {name!r}"):
            self._index.delete_namespace(name=name)

    def aliases(self) -> dict[str, str]:
        """Alias -> target of all namespace aliases. The SDK has no method for them."""
        found: dict[str, str] = {}
        token: str | None = None
        while True:
            page = {"limit": PAGE_NAMES} | ({"paginationToken": token} if token else {})
            with errors(self.where, "list namespace aliases"):
                answer = self._index._http.get("/namespace-aliases", params=page).json()
            found |= {a["name"]: a["target_namespace"] for a in answer["namespace_aliases"]}
            token = (answer.get("pagination") or {}).get("next")
            if not token:
                return found

    def delete_alias(self, alias: str) -> None:
        """Delete a namespace alias."""
        with errors(self.where, f"delete namespace alias {alias!r}"):
            self._index._http.delete(alias_path(alias))

    def create_alias(self, alias: str, target: str) -> None:
        """Make a namespace alias."""
        with errors(self.where, f"create namespace alias {alias!r}"):
            body = {"name": alias, "target_namespace": target}
            self._index._http.post("/namespace-aliases", json=body)

    def repoint_alias(self, alias: str, target: str) -> None:
        """Let a namespace alias stand for another namespace."""
        with errors(self.where, f"repoint namespace alias {alias!r}"):
            self._index._http.patch(alias_path(alias), json={"target_namespace": target})

    # -- documents --------------------------------------------------------------------------

    def upsert(self, namespace: str, documents: list[dict[str, Any]]) -> int:
        """Write documents; the log position at which they become visible."""
        with errors(self.where, "upsert"):
            answer = self._index.documents.upsert(namespace=namespace, documents=documents)
        if (position := logged_position(answer)) is None:
            raise IndexRejected(
                f"{self.where}: a write was acknowledged without its log position, so nobody "
                "can tell when it becomes visible; the server does not speak API version 2026-07"
            )
        return position

    def delete(self, namespace: str, ids: Sequence[str]) -> int | None:
        """Remove documents; the log position, None when there is no such namespace."""
        answer: Any = None
        with self.if_there("delete"):
            answer = self._index.documents.delete(namespace=namespace, ids=list(ids))
        return None if answer is None else logged_position(answer)

    def has_documents(self, namespace: str) -> bool:
        """Whether a namespace lists anything."""
        first = None
        with self.if_there("list documents"):
            first = next(iter(self._index.documents.list(namespace=namespace, limit=1)), None)
        return first is not None

    def listed(self, namespace: str) -> Iterator[Sequence[str]]:
        """All ids of a namespace, so many as one fetch takes."""
        ids: list[str] = []
        with self.if_there("list documents"):
            for page in self._index.documents.list(namespace=namespace, limit=PAGE_NAMES).pages():
                ids += [row.id for row in page.items]
                if len(ids) >= REQUEST_IDS:
                    yield ids
                    ids = []
        if ids:
            yield ids

    def fetch(
        self, namespace: str, ids: Sequence[str], fields: Sequence[str], *, what: str
    ) -> Mapping[str, Any]:
        """Id -> document, of those that are there. `what` is fetched, for an error."""
        answer: Any = None
        with self.if_there(f"fetch {what}"):
            answer = self._index.documents.fetch(
                namespace=namespace, ids=list(ids), include_fields=list(fields)
            )
        return {} if answer is None else answer.documents

    def fetch_few(
        self, namespace: str, fields: Sequence[str], *, most: int
    ) -> Mapping[str, Any] | None:
        """Id -> document of all that say what they were made from; None when there are more.

        One request, where a list and a fetch are two or more. A document without a digest, which
        none of ours is, does not show: whoever needs to know holds the count against it.
        """
        answer: Any = None
        with self.if_there("fetch by filter"):
            answer = self._index.documents.fetch(
                namespace=namespace,
                filter={"digest": {"$exists": True}},
                include_fields=list(fields),
                limit=most,
            )
        if answer is None:
            return {}
        more = answer.pagination is not None and answer.pagination.next
        return None if more else answer.documents

    def search(
        self,
        namespace: str,
        vector: list[float],
        *,
        k: int,
        fields: Sequence[str],
        where: Mapping[str, Any] | None = None,
    ) -> Sequence[Any]:
        """The k nearest documents of a namespace that pass a filter, as the SDK has them."""
        query = DenseVectorQuery(field="vector", values=vector)
        answer: Any = None
        with self.if_there("search"):
            answer = self._index.documents.search(
                namespace=namespace,
                score_by=[query],
                top_k=k,
                include_fields=list(fields),
                filter=where,
            )
        return [] if answer is None else answer.matches

    def close(self) -> None:
        """Close the connection."""
        self._index.close()

    @contextmanager
    def if_there(self, operation: str) -> Iterator[None]:
        """Like `errors`, but what is not there ends the block in silence."""
        with errors(self.where, operation), suppress(NotFoundError):
            yield


@contextmanager
def errors(where: str, operation: str) -> Iterator[None]:
    """Say in our own errors what went wrong where, and whether it may pass by itself."""
    try:
        yield
    except PineconeError as error:
        text = f"{where}: {operation}: {error}"
        if _may_pass(error):
            raise IndexUnavailable(text) from error
        raise IndexRejected(text) from error


def row_reason(error: IndexRejected) -> str | None:
    """What a refusal says of a row, when its value, size or type can be why."""
    cause = error.__cause__
    if isinstance(cause, ApiError) and cause.status_code not in _PERHAPS_THE_ROWS:
        return None
    known = isinstance(cause, ApiError | PineconeValueError | PineconeTypeError)
    return getattr(cause, "message", str(cause)) if known else None


def _may_pass(error: PineconeError) -> bool:
    if isinstance(error, ApiError):
        return error.status_code >= 500 or error.status_code in (408, 425, 429)
    return isinstance(error, PineconeConnectionError | PineconeTimeoutError)
