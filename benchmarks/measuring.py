"""What a step costs: wall time, peak memory and bytes read, each step in a process of its own.

Belongs here: running one function in a fresh process, and printing a Markdown table. A fresh
process makes a peak the step's own: the high-water mark of a process never falls.
"""

from __future__ import annotations

import multiprocessing
import resource
import signal
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

MIB = 1024 * 1024


@dataclass(frozen=True)
class Cost:
    """What a step took.

    Attributes:
        result: What the step returned.
        seconds: Wall time of the step, without starting the process and importing the script.
        peak_bytes: Largest resident memory of its process.
    """

    result: Any
    seconds: float
    peak_bytes: int

    @property
    def peak_mib(self) -> str:
        """Peak memory for a table."""
        return f"{self.peak_bytes / MIB:,.0f}"


def measured(step: Callable[..., Any], *arguments: Any) -> Cost:
    """Run a step in a fresh process. `step` must be a function of a module."""
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=context) as pool:
        return pool.submit(_run, step, arguments).result()


def bytes_read() -> int:
    """Bytes this process has read from files so far; sockets are not counted. 0 where unknown."""
    counters = Path("/proc/self/io")
    if not counters.exists():
        return 0
    return int(counters.read_text().split("rchar: ")[1].split()[0])


class PrintedTable:
    """A Markdown table that is printed row by row, so that an interrupted run has shown a part.

    Args:
        header: Names of the columns.
        first_width: Width of the first column, which holds names.
    """

    def __init__(self, header: Sequence[str], *, first_width: int) -> None:
        self._widths = [first_width, *(max(len(name), 7) for name in header[1:])]
        self.add(header)
        marks = ["-" * (width - 1) + ":" for width in self._widths[1:]]
        self.add(["-" * first_width, *marks])

    def add(self, row: Sequence[str]) -> None:
        """Print a row, names to the left and numbers to the right."""
        cells = [
            cell.ljust(width) if at == 0 else cell.rjust(width)
            for at, (cell, width) in enumerate(zip(row, self._widths, strict=True))
        ]
        print(f"| {' | '.join(cells)} |", flush=True)


def clean_up_when_told_to_stop() -> None:
    """Let SIGTERM end the script like Ctrl+C: servers stopped, folders removed."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))


def note(line: str) -> None:
    """Say what is under way, on standard error: standard output holds the table alone."""
    print(line, file=sys.stderr, flush=True)


def _run(step: Callable[..., Any], arguments: tuple[Any, ...]) -> Cost:
    started = time.perf_counter()
    result = step(*arguments)
    return Cost(result, time.perf_counter() - started, _peak_bytes())


def _peak_bytes() -> int:
    status = Path("/proc/self/status")
    if status.exists():
        # Not `ru_maxrss`: on Linux that starts at what the parent had when it forked.
        return int(status.read_text().split("VmHWM:")[1].split()[0]) * 1024
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
