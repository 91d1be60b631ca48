"""Retry by type: what the platform's errors mean to Dagster.

Belongs here: the one translation of transient and terminal errors.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import dagster as dg

from vector_platform.errors import TerminalError, TransientError
from vector_platform.faults import explained
from vector_platform.orchestration.dagster_internals import (
    MAX_RETRIES_TAG,
    RETRY_ON_ASSET_OR_OP_FAILURE_TAG,
)

# Three more tries, seconds apart: enough for a restarting server, short enough to be watched.
RETRIES = 3
RETRY_SECONDS = 5.0

# Tags of a job that a sensor asks for once in a state of the world; a backend that is away for
# longer than an op's own retries must not be the end of it. Any other run is tried again only when
# its process was killed (`instance.py`).
TRIED_AGAIN = {MAX_RETRIES_TAG: "3", RETRY_ON_ASSET_OR_OP_FAILURE_TAG: "true"}

# Metadata of a failure that trying again cannot mend.
NEEDS_A_PERSON = "needs_a_person"


@contextmanager
def retry_by_type() -> Iterator[None]:
    """Turn a transient error into a retry and a terminal one into a failure without retries.

    Faults of the machine, such as a full disk, are explained first. Anything else is a bug.
    """
    try:
        yield
    except Exception as error:
        named = explained(error)
        if isinstance(named, TransientError):
            again = dg.RetryRequested(max_retries=RETRIES, seconds_to_wait=RETRY_SECONDS)
            raise again from named
        if isinstance(named, TerminalError):
            raise dg.Failure(
                description=str(named), metadata={NEEDS_A_PERSON: True}, allow_retries=False
            ) from named
        raise


def needs_a_person(instance: dg.DagsterInstance, run_id: str) -> bool:
    """Whether a run failed for a reason that does not pass by itself."""
    failures = instance.all_logs(run_id, of_type=dg.DagsterEventType.STEP_FAILURE)
    return any(
        data.user_failure_data is not None and NEEDS_A_PERSON in data.user_failure_data.metadata
        for record in failures
        if record.dagster_event is not None
        for data in (record.dagster_event.step_failure_data,)
    )
