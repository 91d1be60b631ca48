"""What a kind of reader may see: the committed truth, less what is not visible yet.

Belongs here: the bookkeeping of eventual consistency.

The truth is held once. A view keeps only the *before-images* of records whose latest writes are
still hidden from its readers, so that without a delay it holds nothing at all.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass

from ..records import Record


@dataclass(frozen=True, slots=True)
class _Pending:
    visible_at: float
    lsn: int
    ids: tuple[str, ...]


class View:
    """One kind of reader's view of one namespace.

    Attributes:
        lsn: The newest write this view shows.
    """

    def __init__(self, lsn: int) -> None:
        self.lsn = lsn
        self._pending: deque[_Pending] = deque()
        self._before: dict[str, deque[Record | None]] = {}

    def needs_before_images(self, delay_seconds: float) -> bool:
        """Say whether the next write must be hidden for a while."""
        return delay_seconds > 0 or bool(self._pending)

    def wrote(
        self, lsn: int, before: Mapping[str, Record | None], visible_at: float, now: float
    ) -> None:
        """Note a committed write.

        Args:
            lsn: Its log position.
            before: What each changed id held before; None where it did not exist.
            visible_at: When readers may see it, on the caller's clock, if they see all earlier
                writes by then: one never overtakes another.
            now: The current time on the same clock.
        """
        self.settle(now)
        if not self._pending and visible_at <= now:
            self.lsn = lsn
            return
        self._pending.append(_Pending(visible_at, lsn, tuple(before)))
        for record_id, record in before.items():
            self._before.setdefault(record_id, deque()).append(record)

    def settle(self, now: float) -> None:
        """Let every write whose time has come be seen."""
        while self._pending and self._pending[0].visible_at <= now:
            write = self._pending.popleft()
            self.lsn = write.lsn
            for record_id in write.ids:
                images = self._before[record_id]
                images.popleft()
                if not images:
                    del self._before[record_id]

    @property
    def hidden(self) -> dict[str, Record | None]:
        """Ids whose truth is ahead of this view -> what this view still shows (None: nothing)."""
        return {record_id: images[0] for record_id, images in self._before.items()}
