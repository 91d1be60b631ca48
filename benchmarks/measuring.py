"""What a step costs: wall time, peak memory and bytes read, each step in a process of its own.

Belongs here: running one function in a fresh process, and printing a Markdown table. Does not
belong here: what is measured. A fresh process makes a peak the step's own: the high-water mark
of a process never falls.
"""

from __future__ import annotations

import multiprocessing
import resource
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


def print_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """A Markdown table, names to the left and numbers to the right."""
    table = [list(header), *(list(row) for row in rows)]
    widths = [max(len(row[at]) for row in table) for at in range(len(header))]
    for number, row in enumerate(table):
        cells = [
            cell.ljust(width) if at == 0 else cell.rjust(width)
            for at, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        print(f"| {' | '.join(cells)} |")
        if number == 0:
            marks = ["-" * w if at == 0 else "-" * (w - 1) + ":" for at, w in enumerate(widths)]
            print(f"| {' | '.join(marks)} |")


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
