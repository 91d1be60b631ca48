"""How a namespace name in a request is resolved: a namespace, or an alias of one.

Belongs here: the two rules (reads follow an alias, writes are refused one).
"""

from __future__ import annotations

from typing import Literal

from ..errors import RequestRefusedError
from .store import IndexStore

#: What the vectors API calls "" and the documents API must call by this name.
DEFAULT_NAMESPACE = "__default__"

WriteKind = Literal["upsert", "update", "delete"]


def read_target(store: IndexStore, name: str) -> str:
    """Return the namespace that a read of this name is served from."""
    alias = store.aliases.get(name)
    return alias.target if alias else name


def write_target(store: IndexStore, name: str, kind: WriteKind, *, documents: bool) -> str:
    """Return the namespace to write to, or refuse because the name is an alias.

    Raises:
        RequestRefusedError: 409 for an upsert, which would create a namespace of that name;
            otherwise 412 from the documents API and 400 from the vectors API.
    """
    alias = store.aliases.get(name)
    if alias is None:
        return name
    upsert = kind == "upsert"
    raise RequestRefusedError(
        409 if upsert else 412 if documents else 400,
        f"'{name}' is an alias of namespace '{alias.target}'. Write to the namespace itself.",
        reason="NAME_IN_USE_BY_ALIAS" if upsert else "WRITE_TO_ALIAS",
        metadata={"target_namespace": alias.target},
    )
