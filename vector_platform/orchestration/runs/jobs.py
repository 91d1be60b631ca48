"""Jobs of one op: a function with its configuration, as a job that people and sensors launch.

Belongs here: the shell of such a job, what its launchpad offers in a deployment, and who answers
for a run of it. What it does, and its configuration, is in the room of its system.
"""

from __future__ import annotations

import getpass
import inspect
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import wraps
from typing import Annotated, Any, Literal, Self, cast, get_args

import dagster as dg

from vector_platform.errors import TerminalError
from vector_platform.orchestration import keys
from vector_platform.orchestration.dagster_internals import DecoratedOpFunction
from vector_platform.orchestration.runs.retries import retry_by_type
from vector_platform.settings import Settings

# Tag of a run: who launched it, as the queue writes it down (`launcher.py`).
ACTOR_TAG = "vector_platform/actor"

# What a field of a configuration names. A set is a choice when it is known while the definitions
# load. Model versions are not: the platform makes and retires them beside loaded definitions, whose
# schema would refuse the run for a new one. So a field of theirs says which there are, takes any.
Kind = Literal["backend", "source", "model version"]

# Types of fields of a `JobConfig`.
Backend = Annotated[str, "backend"]
Backends = Annotated[list[str], "backend"]
AnySource = Annotated[str, "source"]
ModelVersion = Annotated[str, "model version"]
ModelVersions = Annotated[list[str], "model version"]

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
        # As launchpads fill in what is missing: nothing, or dots.
        if not any(map(str.isalnum, self.reason)):
            raise NoReason(f"`reason` is required, not {self.reason!r}: it is kept for good")
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


def offered(
    job: dg.JobDefinition, settings: Settings, resources: Mapping[str, Any]
) -> dg.JobDefinition:
    """A job of one op as the deployment has it: under its name, with its choices.

    Within the job the op keeps its name, by which runs are configured. As a definition it has the
    deployment's: a code location takes two of a name only when they are the same.

    Args:
        job: The job as it is written.
        settings: The deployment.
        resources: What its op needs, where it is not that of the code location.
    """
    (node,) = job.nodes
    op = cast(dg.OpDefinition, node.definition)
    function = op.compute_fn
    if isinstance(function, DecoratedOpFunction) and function.has_config_arg():
        op = op.configured(
            _as_given,
            name=keys.named(op.name, settings),
            config_schema=_fields(
                function.get_config_arg().annotation, settings, _choices(settings)
            ),
        )
    graph = dg.GraphDefinition(
        keys.named(job.name, settings),
        description=job.description,
        node_defs=[op],
        dependencies={dg.NodeInvocation(op.name, alias=node.name): {}},
    )
    return graph.to_job(description=job.description, tags=job.tags, resource_defs=dict(resources))


def _choices(settings: Settings) -> dict[Kind, dg.Enum]:
    known: dict[Kind, Sequence[str]] = {
        "backend": settings.indexes.backends,
        "source": ("", *settings.sources),
    }
    # What a wrong name is refused with says the name of the type, and so which there are.
    return {
        kind: dg.Enum(
            " | ".join(name or '""' for name in names), [dg.EnumValue(name) for name in names]
        )
        for kind, names in known.items()
    }


def _as_given(config: Any) -> Any:
    return config


def _fields(
    config: type[dg.Config], settings: Settings, choices: Mapping[Kind, dg.Enum]
) -> dict[str, dg.Field]:
    """The schema of a configuration, in which names of the deployment's things are choices.

    A type has one instance in a job, or Dagster takes it for two of one name.
    """
    fields: dict[str, dg.Field] = {}
    for name, field in config.to_fields_dict().items():
        of = config.model_fields[name]
        kinds = [one for one in of.metadata if one in get_args(Kind)]
        parts = get_args(of.annotation)
        nested = [one for one in parts if isinstance(one, type) and issubclass(one, dg.Config)]
        offered, said = field.config_type, field.description
        if "model version" in kinds:
            said = f"{said} There {_are(settings.active_models)} when this was loaded."
        elif kinds or nested:
            one: Any = choices[kinds[0]] if kinds else _fields(nested[0], settings, choices)
            offered = one if of.annotation is str else dg.Array(one)
        default = {} if field.is_required else {"default_value": field.default_value}
        fields[name] = dg.Field(offered, is_required=field.is_required, description=said, **default)
    return fields


def _are(names: Iterable[str]) -> str:
    known = list(names)
    return f"{'was' if len(known) == 1 else 'were'} {', '.join(known) or 'none'}"
