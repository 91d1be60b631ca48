"""Retry by type: what the platform's errors mean to Dagster.

Belongs here: the one translation of transient and terminal errors. Does not belong here: any
message; an error explains itself.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import dagster as dg

from vector_platform.errors import TerminalError, TransientError

# Three more tries, seconds apart: enough for a restarting server, short enough to be watched.
RETRIES = 3
RETRY_SECONDS = 5.0


@contextmanager
def retry_by_type() -> Iterator[None]:
    """Turn a transient error into a retry and a terminal one into a failure without retries."""
    try:
        yield
    except TransientError as error:
        raise dg.RetryRequested(max_retries=RETRIES, seconds_to_wait=RETRY_SECONDS) from error
    except TerminalError as error:
        raise dg.Failure(description=str(error), allow_retries=False) from error
