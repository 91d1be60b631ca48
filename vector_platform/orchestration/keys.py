"""Names of assets, once: equal in every environment.

Belongs here: keys that more than one file needs, what Dagster is told of a check by its record, and
how all names of a deployment are told from those of another in the same Dagster project: by its
`key_prefix`. Without one, names are as they are written here.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from functools import wraps
from typing import Any

import dagster as dg

from vector_platform.remediation.checks import CHECKS
from vector_platform.settings import BackendName, Settings

MART_DOCUMENTS = dg.AssetKey(["marts", "documents"])
MART_RELATIONS = dg.AssetKey(["marts", "relations"])
DOCUMENTS = dg.AssetKey(["lake", "documents"])
RELATIONS = dg.AssetKey(["lake", "relations"])
CHUNKS = dg.AssetKey(["lake", "chunks"])
EMBEDDINGS = dg.AssetKey(["lake", "embeddings"])
GOLDEN_QUERIES = dg.AssetKey(["lake", "golden_queries"])
RETRIEVAL = dg.AssetKey(["quality", "retrieval"])

# Run tags.
EVALUATION_TAG = "vector_platform/evaluation"
REASON_TAG = "vector_platform/reason"


def placed(key: dg.AssetKey, settings: Settings) -> dg.AssetKey:
    """A key as the deployment has it: below its prefix. A key that is below it stays as it is."""
    prefix = settings.key_prefix
    if prefix is None or key.path[0] == prefix:
        return key
    return dg.AssetKey([prefix, *key.path])


def plain(key: dg.AssetKey, settings: Settings) -> str:
    """What a key is called within the deployment, such as `lake/chunks`."""
    path = key.path[1:] if key.path[0] == settings.key_prefix else key.path
    return "/".join(path)


def named(name: str, settings: Settings) -> str:
    """The name of a job, sensor, schedule, resource or multi-asset, as the deployment has it."""
    return name if settings.key_prefix is None else f"{settings.key_prefix}__{name}"


def of_platform(settings: Settings) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Let the parameter `platform` of Dagster's functions be the resource of this deployment.

    Dagster finds a resource by the name of the parameter. Two deployments in one code location
    have two resources, so the function gets a parameter of the other name.
    """
    resource = named("platform", settings)

    def bound(function: Callable[..., Any]) -> Callable[..., Any]:
        if resource == "platform":
            return function

        @wraps(function)
        def call(*args: Any, **given: Any) -> Any:
            return function(*args, platform=given.pop(resource), **given)

        @wraps(function)
        def generate(*args: Any, **given: Any) -> Iterator[Any]:
            yield from function(*args, platform=given.pop(resource), **given)

        # Dagster calls a generator another way than a function that returns one.
        renamed: Any = generate if inspect.isgeneratorfunction(function) else call
        # Resolved here: the names of a module that postpones them are not known in this one.
        signature = inspect.signature(function, eval_str=True)
        renamed.__signature__ = signature.replace(
            parameters=[
                one.replace(name=resource) if one.name == "platform" else one
                for one in signature.parameters.values()
            ]
        )
        renamed.__annotations__ = {
            resource if name == "platform" else name: kind
            for name, kind in inspect.get_annotations(function, eval_str=True).items()
        }
        del renamed.__wrapped__
        result: Callable[..., Any] = renamed
        return result

    return bound


def raw(source: str) -> dg.AssetKey:
    """The raw asset of a source."""
    return dg.AssetKey(["raw", source])


def index_pool(backend: BackendName) -> str:
    """The pool of all that writes generations which readers see: syncs and repairs."""
    return f"index_{backend}"


def index(backend: BackendName, settings: Settings) -> dg.AssetKey:
    """The index asset of a backend, e.g. `milvus/documents`."""
    return placed(dg.AssetKey([backend, settings.indexes.name]), settings)


def declared(check: str) -> dict[str, Any]:
    """What Dagster is told of a check: its name, what it asserts, and whether it blocks."""
    record = CHECKS[check]
    return {"name": record.name, "description": record.asserts, "blocking": record.blocks}
