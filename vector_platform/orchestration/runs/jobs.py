"""Jobs of one op: a function with its configuration, as a job that people and sensors launch.

Belongs here: the shell of such a job. What it does, and its configuration, is in the room of its
system.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

import dagster as dg


def one_op_job(
    op: str, *, pool: str | None = None, tags: Mapping[str, str] | None = None
) -> Callable[[Callable[..., Any]], dg.JobDefinition]:
    """Make a function the only op of a job of its name, described in the UI by its docstring.

    Dagster reads its parameters as they are written: `context`, `config` of a `dg.Config`, and
    `platform` as a resource. So its module must not postpone annotations.

    Args:
        op: Name of the op, under which its configuration and its output are.
        pool: Runs of ops in one pool wait for each other.
        tags: Of every run of the job.
    """

    def made(function: Callable[..., Any]) -> dg.JobDefinition:
        said = " ".join((inspect.getdoc(function) or "").split())
        step = dg.op(name=op, pool=pool, description=said)(function)

        @dg.job(name=function.__name__, description=said, tags=dict(tags or {}))
        def shell() -> None:
            step()

        return shell

    return made
