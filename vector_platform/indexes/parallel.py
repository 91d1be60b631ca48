"""Several requests under way at once, in the order they were asked for.

Belongs here: the pool an adapter talks through.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")
Answer = TypeVar("Answer")


class Parallel:
    """A pool of threads.

    A call must not use the pool that it runs in: with all threads waiting for others, none is left.

    Args:
        width: How many calls run at once.
        name: Prefix of the threads' names.
    """

    def __init__(self, width: int, name: str) -> None:
        self._width = width
        self._pool = ThreadPoolExecutor(width, name)

    def each(self, call: Callable[[Item], Answer], items: Sequence[Item]) -> list[Answer]:
        """Call for every item; all are tried, then the first failure is raised."""
        futures = [self._pool.submit(call, item) for item in items]
        for future in futures:
            future.exception()
        return [future.result() for future in futures]

    def ahead(self, call: Callable[[Item], Answer], items: Iterable[Item]) -> Iterator[Answer]:
        """Call for every item, never more ahead of the reader than the pool is wide."""
        running: deque[Future[Answer]] = deque()
        for item in items:
            running.append(self._pool.submit(call, item))
            if len(running) > self._width:
                yield running.popleft().result()
        while running:
            yield running.popleft().result()

    def close(self) -> None:
        """Finish what is under way."""
        self._pool.shutdown()
