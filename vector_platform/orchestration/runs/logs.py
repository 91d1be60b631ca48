"""What a run launched from the command line prints while it works.

Belongs here: a Dagster logger that shows only what the platform's own code says, and where what
tools print goes. Dagster's events stay in the instance, for the UI; whoever asks for everything
sees these, too, and the lines of libraries.
"""

from __future__ import annotations

import io
import logging
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, redirect_stdout
from pathlib import Path
from typing import TextIO

import dagster as dg

import vector_platform

PROGRESS = "progress"
_OURS = str(Path(vector_platform.__file__).parent)


class _Lines(logging.Handler):
    """Prints messages of the platform's code, or all, one indented line each, on standard error."""

    def __init__(self, everything: bool) -> None:
        super().__init__()
        self._everything = everything

    def emit(self, record: logging.LogRecord) -> None:
        meta = getattr(record, "dagster_meta", None) or {}
        # A library's lines (dbt's, Dagster's of steps that it skips) would bury the error of a run.
        if self._everything or (meta.get("dagster_event") is None and _is_ours()):
            message = meta.get("orig_message") or record.getMessage()
            print(f"          {message}", file=sys.stderr, flush=True)


def _is_ours() -> bool:
    """Whether the platform's code logs right now.

    Dagster logs every line once more, as its own, so its log manager is passed over. Who logs is
    whoever stands before it: Dagster itself also stands on our code, which executes its steps.
    """
    frame = sys._getframe(1)
    while frame.f_back is not None:
        frame = frame.f_back
        name = frame.f_globals.get("__name__", "")
        if name not in (__name__, logging.__name__, dg.DagsterLogManager.__module__):
            return frame.f_code.co_filename.startswith(_OURS)
    return False


@dg.logger(
    {
        "everything": dg.Field(
            bool, default_value=False, description="Lines of Dagster and of libraries, too."
        )
    },
    description="Progress lines of the platform's own code, for a terminal.",
)
def progress_logger(init_context: dg.InitLoggerContext) -> logging.Logger:
    """A logger that prints progress; everything, when that is asked for."""
    everything: bool = init_context.logger_config["everything"]
    level = logging.DEBUG if everything else logging.INFO
    logger = logging.Logger("vector_platform.progress", level=level)
    logger.addHandler(_Lines(everything))
    return logger


@contextmanager
def output_of_tools(log: Path, *, everything: bool) -> Iterator[None]:
    """Send what tools print (dbt does) to the end of a file, and to standard error if asked to.

    Standard output is for what the verb itself prints.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        file = stack.enter_context(log.open("a", encoding="utf-8"))
        stack.enter_context(redirect_stdout(_Both(file, sys.stderr) if everything else file))
        yield


class _Both(io.TextIOBase):
    """A stream to two."""

    def __init__(self, *streams: TextIO) -> None:
        self._streams = streams

    def write(self, text: str) -> int:
        for stream in self._streams:
            stream.write(text)
        return len(text)

    def flush(self) -> None:
        for stream in self._streams:
            stream.flush()
