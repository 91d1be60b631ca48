"""Which namespaces of a generation somebody waits for, and no longer than needed.

Belongs here: the fence of a generation, and what a read through this object waits for by itself.

A wait is at least one request a namespace. So where a fetch is made anyway and shows the last
write, it is the wait as well: the log is applied in order, and what shows the last shows all.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from vector_platform.indexes.backends.pinecone.requests.calls import IndexCalls
from vector_platform.indexes.backends.pinecone.requests.fence import (
    LastWrites,
    NamespaceFence,
    Place,
)
from vector_platform.indexes.backends.pinecone.terms import index_name, tenants_in
from vector_platform.indexes.contract import Generation
from vector_platform.indexes.parallel import Parallel


class GenerationWaits:
    """Waits for the writes of one generation.

    Args:
        index: Requests to its Pinecone index.
        generation: Which.
        last_writes: What is known of the writes of all namespaces.
        seconds: Longest wait for one namespace and one kind of read.
    """

    def __init__(
        self, index: IndexCalls, generation: Generation, last_writes: LastWrites, seconds: float
    ) -> None:
        self._index = index
        self._generation = generation
        self._last_writes = last_writes
        self._seconds = seconds

    def fence(self, parallel: Parallel, *, others: bool, searches_only: bool) -> None:
        """Return when searches show every acknowledged write, and fetches unless left to reads.

        Where this process wrote, its last write must show. A namespace it has not fenced yet may
        have been written to by an earlier process; then, if `others`, everything there is waited
        for, lists too.
        """
        known = self._last_writes.namespaces(index_name(self._generation))
        listed = known | (self._index.namespaces().keys() if others else set())

        def wait(namespace: str) -> None:
            place = self._place(namespace)
            if not self._last_writes.settled(place):
                write = self._last_writes.pending(place)
                if write is None:
                    self._of(namespace).await_all()
                else:
                    self._of(namespace).await_searched(write)
                self._last_writes.settle(place, write)
            if not searches_only:
                self.fetches(namespace)

        parallel.each(wait, list(tenants_in(listed, self._generation).values()))

    def deleted(self, namespace: str, ids: Sequence[str]) -> None:
        """Return when fetches show none of these rows any more."""
        self._of(namespace).await_deleted(ids)

    def lists(self, namespace: str) -> None:
        """Return when lists of a namespace show what this process wrote there."""
        place = self._place(namespace)
        write = self._last_writes.unlisted(place)
        if write is not None:
            self._of(namespace).await_listed(write)
            self._last_writes.listed(place, write)

    def fetches(self, namespace: str) -> None:
        """Return when fetches from a namespace show what this process wrote there."""
        place = self._place(namespace)
        write = self._last_writes.unfetched(place)
        if write is not None:
            self._of(namespace).await_fetched(write)
            self._last_writes.fetched(place, write)

    def fetched(
        self, namespace: str, fetch: Callable[[], Mapping[str, Any] | None]
    ) -> Mapping[str, Any] | None:
        """The answer of a fetch that shows what this process wrote.

        One that does not, be it because it asks for other rows, is made again after a wait.
        """
        place = self._place(namespace)
        write = self._last_writes.unfetched(place)
        answer = fetch()
        if write is None:
            return answer
        row = None if answer is None else answer.get(write.id)
        if row is not None and row.get("digest") == write.digest:
            self._last_writes.fetched(place, write)
            return answer
        self.fetches(namespace)
        return fetch()

    def _place(self, namespace: str) -> Place:
        return index_name(self._generation), namespace

    def _of(self, namespace: str) -> NamespaceFence:
        return NamespaceFence(
            self._index.documents,
            namespace,
            probe=[1.0] + [0.0] * (self._generation.dimension - 1),
            guard=self._index.if_there,
            seconds=self._seconds,
        )
