"""What a run launched from the command line prints while it works.

Belongs here: a Dagster logger that shows only what the platform's own code says. Dagster's events
stay in the instance, for the UI.
"""

from __future__ import annotations

import logging
import sys
from pathlib import Path

import dagster as dg

import vector_platform

PROGRESS = "progress"
_OURS = str(Path(vector_platform.__file__).parent)


class _OwnLines(logging.Handler):
    """Prints messages of user code, one indented line each, on standard error."""

    def emit(self, record: logging.LogRecord) -> None:
        meta = getattr(record, "dagster_meta", None) or {}
        # A library's lines (dbt's, Dagster's of steps that it skips) would bury the error of a run.
        if meta.get("dagster_event") is None and _is_ours():
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


@dg.logger(None, description="Progress lines of the platform's own code, for a terminal.")
def progress_logger(init_context: dg.InitLoggerContext) -> logging.Logger:
    """A logger that prints progress and nothing else."""
    logger = logging.Logger("vector_platform.progress", level=logging.INFO)
    logger.addHandler(_OwnLines())
    return logger
