"""What would keep a model version from embedding, told before anything is loaded.

Belongs here: packages, weights and settings of a version, held against each other. No library of
inference is imported, and nothing is downloaded.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path

from vector_platform.models.errors import EndpointUnavailable, ModelDownloadError, ModelError
from vector_platform.models.extras import extra_of
from vector_platform.models.identity.folder import read_folder
from vector_platform.models.identity.origins import find_weights, is_offline, require_on_hub
from vector_platform.models.registry import require_fit
from vector_platform.problems import Problem
from vector_platform.settings import Endpoint, GivenVectors, Model, secret

_ASKING_SECONDS = 10.0


def look_at_model(
    name: str, models: Mapping[str, Model], *, cache_dir: Path, root: Path, connect: bool
) -> tuple[int | None, list[Problem]]:
    """The length of a version's vectors, where its folder is on this machine; and what is wrong.

    Args:
        name: The model version.
        models: The settings of all.
        cache_dir: Where conversions are kept.
        root: Folder of `platform.yaml`.
        connect: Whether a hub may be asked.
    """
    spec = models[name]
    if spec.given is not None:
        look = partial(look_at_model, cache_dir=cache_dir, root=root, connect=connect)
        return spec.given.dimensions, list(_query_problems(name, spec.given, models, look))
    if spec.endpoint is not None:
        return spec.endpoint.dimensions, list(_endpoint_problems(name, spec.endpoint, connect))
    extra = extra_of(spec)
    line = extra.missing("this model") if extra is not None else None
    problems = [Problem(("models", name), line)] if line is not None else []
    dimension: int | None = None
    try:
        if spec.hub is not None and not is_offline():
            if connect:
                require_on_hub(name, spec.hub, spec.revision)
        else:
            weights = find_weights(name, spec, cache_dir=cache_dir, root=root)
            if not spec.bases:
                folder = read_folder(name, weights)
                dimension = folder.dimension
                require_fit(name, spec, folder)
    except ModelError as error:
        problems.append(Problem(("models", name), error.why))
    except ModelDownloadError as error:
        problems.append(Problem(("models", name), str(error)))
    return dimension, problems


def _endpoint_problems(name: str, endpoint: Endpoint, connect: bool) -> Iterator[Problem]:
    """Whether an endpoint answers, takes the key, and makes vectors of the length that is set."""
    part = ("models", name, "endpoint")
    if endpoint.key is not None and secret(endpoint.key) is None:
        yield Problem((*part, "key"), f"environment variable {endpoint.key} is not set")
    elif connect:
        from vector_platform.models.endpoint.client import EndpointClient

        try:
            EndpointClient(name, endpoint).ask(["look"], attempts=1, seconds=_ASKING_SECONDS)
        except ModelError as error:
            yield Problem(part, error.why)
        except EndpointUnavailable as error:
            yield Problem(part, str(error), passing=True)


def _query_problems(
    name: str,
    given: GivenVectors,
    models: Mapping[str, Model],
    look: Callable[[str, Mapping[str, Model]], tuple[int | None, list[Problem]]],
) -> Iterator[Problem]:
    """Whether the model that embeds the queries of given vectors can."""
    asked = given.query_model
    if asked is None or asked not in models or models[asked].given is not None:
        return
    dimension, problems = look(asked, models)
    if models[asked].retired:  # else it is looked at for itself
        yield from problems
    if dimension is not None and dimension != given.dimensions:
        yield Problem(
            ("models", name, "given", "query_model"),
            f"vectors of {asked} have {dimension} numbers, and those of {name} have "
            f"{given.dimensions}",
        )
