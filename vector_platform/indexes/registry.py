"""The backends there are: the one list, and all that follows from it.

Belongs here: one line a backend, the settings with a section for each, and opening one. What a
backend is stands in its own folder, `backends/<name>/`; no other room knows one by name.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from importlib import import_module
from typing import Any, Final

from pydantic import create_model

from vector_platform.faults import Extra
from vector_platform.indexes.base import Backend, FindLocal, VectorIndex
from vector_platform.problems import Problem
from vector_platform.settings import BackendName, BackendSection, Indexes, Settings

# A backend is a folder of `backends/` and a line here.
BACKENDS: Final[tuple[BackendName, ...]] = (
    "milvus",
    "pinecone",
)


@cache
def registered(backend: BackendName) -> Backend[BackendSection]:
    """What the folder of a backend gives."""
    folder = import_module(f"vector_platform.indexes.backends.{backend}")
    found: Backend[BackendSection] = folder.BACKEND
    return found


def extra_of(backend: BackendName) -> Extra:
    """What a backend is reached with: the extra of its name."""
    return Extra(backend, registered(backend).packages)


@cache
def settings_model() -> type[Settings]:
    """`Settings` with the section of every backend under `indexes`.

    One model, so that the file, the environment's overrides, defaults and every problem are read
    and told in one way, whichever room a setting is from.
    """
    sections: dict[str, Any] = {}
    for name in BACKENDS:
        backend = registered(name)
        default = backend.section.model_validate({}) if backend.on_by_default else None
        sections[name] = (backend.section | None, default)
    indexes = create_model("Indexes", __base__=Indexes, **sections)
    return create_model("Settings", __base__=Settings, indexes=(indexes, indexes()))


def open_index(backend: BackendName, section: BackendSection, *, local: FindLocal) -> VectorIndex:
    """A backend, connected.

    Args:
        backend: Which.
        section: Its settings.
        local: Finds the embedded server of this backend; called only when the section asks for it.

    Raises:
        MissingExtra: Its client library is not installed.
    """
    extra_of(backend).require(f"indexes.{backend}")
    return registered(backend).open(section, local)


def problems_at_rest(backend: BackendName, section: BackendSection) -> Iterator[Problem]:
    """What would keep a backend from being opened, as far as it shows without connecting."""
    known = registered(backend)
    packages = known.packages + (known.embedded_packages if section.is_embedded else ())
    line = Extra(backend, packages).missing("this backend")
    if line is not None:
        yield Problem(("indexes", backend), line)
        return
    for setting, what in known.problems(section):
        yield Problem(("indexes", backend, setting), what)


def stored_of(backend: BackendName, recorded: str) -> dict[str, Any]:
    """What a recorded spec of a backend's index says of what is stored."""
    return registered(backend).section.stored_of(recorded)
