"""Jobs of one op: a function with its configuration, as a job that people and sensors launch.

Belongs here: the shell of such a job. What it does, and its configuration, is in the room of its
system.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from functools import wraps
from typing import Any

import dagster as dg

from vector_platform.orchestration.runs.retries import retry_by_type


class AskedFor(dg.Config):
    """Who asks for a run that is answered for, and why; both are kept.

    Attributes:
        reason: Why.
        actor: Who.
    """

    reason: str = "asked for by hand"
    actor: str = "person"


def one_op_job(
    op: str,
    *,
    job: str | None = None,
    pool: str | None = None,
    tags: Mapping[str, str] | None = None,
) -> Callable[[Callable[..., Any]], dg.JobDefinition]:
    """Make a function the only op of a job, described in the UI by its docstring.

    What it raises is retried by its type (`retries.py`). Dagster reads its parameters as they are
    written: `context`, `config` of a `dg.Config`, and `platform` as a resource. So its module must
    not postpone annotations.

    Args:
        op: Name of the op, under which its configuration and its output are.
        job: Name of the job; that of the function by default.
        pool: Runs of ops in one pool wait for each other.
        tags: Of every run of the job.
    """

    def made(function: Callable[..., Any]) -> dg.JobDefinition:
        said = " ".join((inspect.getdoc(function) or "").split())

        @wraps(function)
        def retried(*given: Any, **named: Any) -> Any:
            with retry_by_type():
                return function(*given, **named)

        step = dg.op(name=op, pool=pool, description=said)(retried)

        @dg.job(name=job or function.__name__, description=said, tags=dict(tags or {}))
        def shell() -> None:
            step()

        return shell

    return made
