"""What has to become visible before a fence may open: the last write of each namespace.

Belongs here: remembering it, for stores that acknowledge a write before readers see it and
number their writes. Does not belong here: asking the store what it shows.
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from threading import Lock
from typing import Generic, TypeVar

Place = TypeVar("Place", bound=Hashable)


@dataclass(frozen=True)
class Write:
    """An acknowledged write.

    Attributes:
        position: The store's number of it; later writes of a namespace have higher ones.
        id: A row it wrote or removed.
        digest: What that row says since then; None when it was removed.
    """

    position: int
    id: str
    digest: str | None


class LastWrites(Generic[Place]):
    """The write with the highest position in each namespace since its last fence.

    A store applies the writes of a namespace in the order of their positions, so where the last
    one is visible, all are. Safe to use from several threads.
    """

    def __init__(self) -> None:
        self._lock = Lock()
        self._pending: dict[Place, Write] = {}
        self._settled: set[Place] = set()

    def add(self, place: Place, write: Write) -> None:
        """Remember a write if it is the latest of its namespace."""
        with self._lock:
            known = self._pending.get(place)
            if known is None or write.position > known.position:
                self._pending[place] = write

    def pending(self, place: Place) -> Write | None:
        """The write to wait for, or None when there was none since the last fence."""
        with self._lock:
            return self._pending.get(place)

    def places(self) -> set[Place]:
        """Namespaces with a write to wait for."""
        with self._lock:
            return set(self._pending)

    def unknown(self, place: Place) -> bool:
        """Whether nothing is known of the namespace: others may have written to it before."""
        with self._lock:
            return place not in self._pending and place not in self._settled

    def settle(self, place: Place, write: Write | None) -> None:
        """Everything up to this write is visible."""
        with self._lock:
            self._settled.add(place)
            if write is not None and self._pending.get(place) == write:
                del self._pending[place]

    def forget(self, place: Place) -> None:
        """The namespace is gone."""
        with self._lock:
            self._pending.pop(place, None)
            self._settled.discard(place)
