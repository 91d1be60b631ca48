"""How work grows with its input: the measure behind "linear time", free of seconds."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable
from typing import Any

FACTOR = 4
# Linear work grows by FACTOR, quadratic by its square. Between them lies what a busy machine adds.
BOUND = 9.0
# Below this the clock and fixed costs would decide.
_LEAST_SECONDS = 0.02


def growth(work: Callable[[Any], object], make: Callable[[int], Any], size: int) -> float:
    """CPU time of an input of 4 times `size` by that of `size`; the least of three runs each.

    An input that is read in no time at all counts as one that takes `_LEAST_SECONDS`.
    """
    small = max(_seconds(work, make(size)), _LEAST_SECONDS)
    return _seconds(work, make(FACTOR * size)) / small


def _seconds(work: Callable[[Any], object], given: Any) -> float:
    taken = []
    gc.collect()
    gc.disable()  # It looks at all objects of the test run, which are not the work's.
    try:
        for _ in range(3):
            started = time.process_time()
            work(given)
            taken.append(time.process_time() - started)
            if taken[-1] > 2:  # A fault's run is not repeated.
                break
    finally:
        gc.enable()
    return min(taken)
