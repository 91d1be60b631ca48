"""How far long work is, in one line: so many of how many, how fast, how long it may still take.

Belongs here: the line, and how often it is worth saying. Who works says it to the `Progress` that
it was given.
"""

from __future__ import annotations

import time
from collections.abc import Callable

# A person who waits looks about so often.
EVERY_SECONDS = 5.0


def describe_progress(what: str, done: int, seconds: float, total: int | None = None) -> str:
    """`1,200 of 5,000 rows written, 240 a second, about 16 s left`.

    Args:
        what: Of what, and what is done to it: `rows written`.
        done: How many so far.
        seconds: Since the start.
        total: Of how many; None when nobody knows.
    """
    rate = done / seconds if seconds > 0 else 0.0
    of_all = f"{done:,} of {total:,}" if total is not None else f"{done:,}"
    line = f"{of_all} {what}, {rate:,.0f} a second"
    if total is None or not rate or done >= total:
        return line
    return f"{line}, about {_duration((total - done) / rate)} left"


def _duration(seconds: float) -> str:
    if seconds < 100:
        return f"{max(1, round(seconds))} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 100 else f"{minutes // 60} h {minutes % 60} min"


class Paced:
    """Says how far work is, at most every few seconds.

    Args:
        say: Whom to tell.
        what: As in `describe_progress`.
        total: As in `describe_progress`.
    """

    def __init__(self, say: Callable[[str], None], what: str, total: int | None = None) -> None:
        self._say, self._what, self._total = say, what, total
        self._started = self._said = time.monotonic()

    def reached(self, done: int) -> None:
        """So many are done."""
        now = time.monotonic()
        if now - self._said >= EVERY_SECONDS:
            self._said = now
            self._say(describe_progress(self._what, done, now - self._started, self._total))
