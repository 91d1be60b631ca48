"""Jobs of one op: a function with its configuration, as a job that people and sensors launch.

Belongs here: the shell of such a job, and who answers for a run of it. What it does, and its
configuration, is in the room of its system.
"""

from __future__ import annotations

import getpass
import inspect
import re
from collections.abc import Callable, Mapping
from functools import wraps
from typing import Any, Self

import dagster as dg

from vector_platform.errors import TerminalError
from vector_platform.orchestration.runs.retries import retry_by_type
from vector_platform.settings import Settings

# Tag of a run: who launched it, as the queue writes it down (`launcher.py`).
ACTOR_TAG = "vector_platform/actor"

# A field of `Attributes:` and what is said of it, to the next one.
_ATTRIBUTE = re.compile(r"^    (\w+): (.*(?:\n {8}.*)*)", re.MULTILINE)


class JobConfig(dg.Config):
    """Configuration of a job, whose fields the launchpad describes as its docstring does."""

    @classmethod
    def __pydantic_init_subclass__(cls, **options: Any) -> None:
        """Take the description of every field from `Attributes:` of the class."""
        super().__pydantic_init_subclass__(**options)
        _, _, attributes = inspect.cleandoc(cls.__doc__ or "").partition("Attributes:\n")
        for name, said in _ATTRIBUTE.findall(attributes):
            if name in cls.model_fields:
                cls.model_fields[name].description = " ".join(said.split())


class AskedFor(JobConfig):
    """Who asks for a run that is answered for, and why; both are kept.

    Attributes:
        reason: Why; it is kept for good.
        actor: Who answers for it; leave it empty, and it is who launches the run.
    """

    reason: str
    actor: str = ""

    def answered_for(self, actor: str) -> Self:
        """The same, asked for by somebody.

        Raises:
            NoReason: Nobody can learn from the record why.
        """
        if not self.reason.strip():
            raise NoReason("a reason is required: it is kept with the decision")
        return self.model_copy(update={"actor": actor})


class NoReason(TerminalError):
    """A run that somebody answers for, without a reason."""


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
                return function(
                    *(_answered_for(one) for one in given),
                    **{name: _answered_for(one) for name, one in named.items()},
                )

        step = dg.op(name=op, pool=pool, description=said)(retried)

        @dg.job(name=job or function.__name__, description=said, tags=dict(tags or {}))
        def shell() -> None:
            step()

        return shell

    return made


def _answered_for(given: Any) -> Any:
    if not isinstance(given, AskedFor):
        return given
    context = dg.OpExecutionContext.get()
    settings = context.resources.platform.settings
    return given.answered_for(actor_of(context.run, given.actor, settings))


def actor_of(run: dg.DagsterRun, given: str, settings: Settings) -> str:
    """Who answers for a run: the person whom the deployment names.

    Who was signed in at the request that launched it; else whom its configuration gives, which is
    a sensor, a verb, or what somebody typed; else `runs.user`; else the user of the operating
    system.
    """
    return run.tags.get(ACTOR_TAG) or given or settings.runs.user or getpass.getuser()
