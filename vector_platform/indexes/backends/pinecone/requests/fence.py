"""When a Pinecone namespace shows what was written to it.

Belongs here: what is known of the last write of each namespace, and waiting for it.

Pinecone acknowledges a write before readers see it, numbers the writes of a namespace, applies
them in that order, and lets searches, but not fetches and lists, tell how far they have got.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from threading import Lock
from typing import Any, Final

from vector_platform.indexes.backends.pinecone.names import NO_DOCUMENT
from vector_platform.indexes.contract import IndexUnavailable

Place = tuple[str, str]  # Pinecone index, namespace
Guard = Callable[[str], AbstractContextManager[Any]]

_FIRST_WAIT_SECONDS: Final = 0.02
_LONGEST_WAIT_SECONDS: Final = 1.0
# Set on a row by a fence that does not know the last write; readers never ask for it.
_FENCE_FIELD: Final = "fence"


@dataclass(frozen=True)
class Write:
    """An acknowledged write.

    Attributes:
        position: Its number in the namespace's log.
        id: A row it wrote or removed.
        digest: What that row says since then; None when it was removed.
        fetched: Whether a fetch has shown it already.
    """

    position: int
    id: str
    digest: str | None
    fetched: bool = False


class LastWrites:
    """The latest write of each namespace since its last fence; safe from several threads."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._pending: dict[Place, Write] = {}
        self._unfetched: dict[Place, Write] = {}
        self._unlisted: dict[Place, Write] = {}
        self._settled: set[Place] = set()
        self._doubtful: set[Place] = set()

    @contextmanager
    def doubting(self, place: Place) -> Iterator[None]:
        """Have the next fence wait for everything when a write gets no answer.

        It may have been applied, at a position nobody knows.
        """
        try:
            yield
        except IndexUnavailable:
            with self._lock:
                self._doubtful.add(place)
            raise

    def add(self, place: Place, write: Write) -> None:
        """Remember a write if it is the latest of its namespace."""
        with self._lock:
            known = self._pending.get(place)
            if known is None or write.position >= known.position:
                self._pending[place] = self._unlisted[place] = write
                if write.fetched:
                    self._unfetched.pop(place, None)
                else:
                    self._unfetched[place] = write

    def pending(self, place: Place) -> Write | None:
        """The write to wait for; None when there was none since the last fence, or none to trust.

        An unanswered write may come after the last one that was answered.
        """
        with self._lock:
            return None if place in self._doubtful else self._pending.get(place)

    def namespaces(self, index_name: str) -> set[str]:
        """Namespaces of a Pinecone index that anything is known of."""
        with self._lock:
            known = self._settled | self._pending.keys() | self._doubtful
            return {namespace for name, namespace in known if name == index_name}

    def unlisted(self, place: Place) -> Write | None:
        """The write that lists have not been waited for yet, if there is one."""
        with self._lock:
            return self._unlisted.get(place)

    def listed(self, place: Place, write: Write) -> None:
        """Lists show everything up to this write."""
        with self._lock:
            if self._unlisted.get(place) == write:
                del self._unlisted[place]

    def unfetched(self, place: Place) -> Write | None:
        """The write that no fetch has shown yet, if there is one."""
        with self._lock:
            return self._unfetched.get(place)

    def fetched(self, place: Place, write: Write) -> None:
        """Fetches show everything up to this write."""
        with self._lock:
            if self._unfetched.get(place) == write:
                del self._unfetched[place]

    def settled(self, place: Place) -> bool:
        """Whether searches show all that there is; fetches and lists are waited for apart."""
        with self._lock:
            unsettled = place in self._pending or place in self._doubtful
            return place in self._settled and not unsettled

    def settle(self, place: Place, write: Write | None) -> None:
        """Searches show everything up to this write; None: all reads show all there is."""
        with self._lock:
            self._settled.add(place)
            if write is None:
                self._doubtful.discard(place)
                self._drop(place)
            elif self._pending.get(place) == write:
                del self._pending[place]

    def forget(self, place: Place) -> None:
        """The namespace is gone; one of the same name starts from a log of its own."""
        with self._lock:
            self._drop(place)
            self._settled.discard(place)
            self._doubtful.discard(place)

    def _drop(self, place: Place) -> None:
        for writes in (self._pending, self._unfetched, self._unlisted):
            writes.pop(place, None)


def logged_position(answer: Any) -> int | None:
    """Log position of a write, if it wrote; later writes of the namespace have higher ones."""
    info = answer.response_info
    return None if info is None else info.lsn_committed


class NamespaceFence:
    """Waits for one namespace.

    Args:
        documents: The SDK's documents client of the index.
        namespace: Which namespace.
        probe: Any vector of the right length, to search with.
        guard: Makes the context a request runs in; it translates errors and passes over a
            namespace that is not there (yet).
        seconds: Longest wait for one kind of read.
    """

    def __init__(
        self, documents: Any, namespace: str, *, probe: list[float], guard: Guard, seconds: float
    ) -> None:
        self._documents = documents
        self._namespace = namespace
        self._query = {"type": "dense_vector", "field": "vector", "values": probe}
        self._guard = guard
        self._seconds = seconds

    def await_searched(self, write: Write) -> None:
        """Return when searches show a write, and so all before it."""
        self._until("searches", lambda: self._search(write.position)[0])

    def await_fetched(self, write: Write) -> None:
        """Return when fetches show a write, and so all before it."""
        self._until("fetches", lambda: self._fetched(write.id, "digest") == write.digest)

    def await_listed(self, write: Write) -> None:
        """Return when lists show a write, and so all before it."""
        self._until("lists", lambda: (self._listed(write.id) is None) == (write.digest is None))

    def await_deleted(self, ids: Sequence[str]) -> None:
        """Return when a fetch shows none of these rows any more.

        Raises:
            IndexUnavailable: Some are still there after the longest wait; they are named.
        """
        left: list[str] = []

        def gone() -> bool:
            answer = self._documents.fetch(
                namespace=self._namespace, ids=list(ids), include_fields=["digest"]
            )
            left[:] = answer.documents.keys() & set(ids)
            return not left

        try:
            self._until("fetches", gone)
        except IndexUnavailable as error:
            if not left:
                raise
            raise IndexUnavailable(
                f"pinecone: {len(left)} of {len(ids)} deleted rows of namespace "
                f"{self._namespace!r} are still there after {self._seconds:.0f} s, for example "
                f"{min(left)!r}; run this again"
            ) from error

    def await_all(self) -> None:
        """The same, when nobody remembers the last write (another process made it).

        Deleting a row that does not exist gives a log position after all writes. When searches
        have got there, any row they find is marked, and the mark waited for where fetches and
        lists read. A namespace without a row has nothing to mark: it must list nothing.
        """
        position: int | None = None
        with self._guard("fence"):
            answer = self._documents.delete(namespace=self._namespace, ids=[NO_DOCUMENT])
            position = logged_position(answer)
        if position is None:
            return  # it went away since it was listed
        reached = position
        found: list[str] = []

        def searched() -> bool:
            there, found[:] = self._search(reached)
            return there

        self._until("searches", searched)
        if not found:
            self._until("lists", lambda: self._listed(None) is None)
            return
        row_id, mark = found[0], uuid.uuid4().hex
        with self._guard("fence"):
            self._documents.update(
                namespace=self._namespace, documents=[{"_id": row_id, _FENCE_FIELD: mark}]
            )
        self._until("fetches", lambda: self._fetched(row_id, _FENCE_FIELD) == mark)
        self._until("lists", lambda: self._listed(row_id) is not None)

    def _search(self, position: int) -> tuple[bool, list[str]]:
        """Whether searches have got to a position, and the ids of one search."""
        answer = self._documents.search(namespace=self._namespace, score_by=[self._query], top_k=1)
        info = answer.response_info
        there = info is not None and info.is_reconciled(position)
        return there, [match.id for match in answer.matches]

    def _fetched(self, row_id: str, field: str) -> Any:
        answer = self._documents.fetch(
            namespace=self._namespace, ids=[row_id], include_fields=[field]
        )
        row = answer.documents.get(row_id)
        return None if row is None else row.get(field)

    def _listed(self, row_id: str | None) -> str | None:
        """The row's id if it lists; any id when none is asked for."""
        # The shortest id with a prefix comes first: the row itself, when it is there.
        rows = self._documents.list(namespace=self._namespace, prefix=row_id, limit=1)
        first = next(iter(rows), None)
        return first.id if first is not None and row_id in (None, first.id) else None

    def _until(self, who: str, visible: Callable[[], bool]) -> None:
        deadline = time.monotonic() + self._seconds
        pause = _FIRST_WAIT_SECONDS
        while True:
            with self._guard(f"fence, {who}"):
                if visible():
                    return
            if time.monotonic() + pause > deadline:
                raise IndexUnavailable(
                    f"pinecone: {who} of namespace {self._namespace!r} do not show the last "
                    f"write after {self._seconds:.0f} s; run this again"
                )
            time.sleep(pause)
            pause = min(2 * pause, _LONGEST_WAIT_SECONDS)
