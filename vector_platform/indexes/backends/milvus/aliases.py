"""The alias that stands for the live collection, for readers outside.

Belongs here: moving it, telling what it stands for, and never taking somebody else's.
"""

from __future__ import annotations

from vector_platform.indexes.backends.milvus.calls import MilvusCalls
from vector_platform.indexes.backends.milvus.collections import mark_of
from vector_platform.indexes.backends.milvus.names import collection_alias, collection_name
from vector_platform.indexes.backends.milvus.terms import collection_mark
from vector_platform.indexes.contract import Generation, Mirrored
from vector_platform.indexes.marks import require_mark


def point_alias(calls: MilvusCalls, generation: Generation) -> Mirrored:
    """Let the alias `{index}_live` stand for the generation's collection.

    Raises:
        NotOurs: The alias stands for a collection that is not of this index and lake.
    """
    name, alias = collection_name(generation), collection_alias(generation.index)
    if alias in _aliases(calls, name):
        return Mirrored(1)
    if alias not in _aliases(calls, ""):
        calls.call("create_alias", name, alias)
        return Mirrored(1)
    _require_alias(calls, alias, generation)
    calls.call("alter_alias", name, alias)
    return Mirrored(1)


def alias_mirrors(calls: MilvusCalls, generation: Generation) -> Mirrored:
    """Whether the alias `{index}_live` is there, and what it stands for."""
    name, alias = collection_name(generation), collection_alias(generation.index)
    if alias not in _aliases(calls, ""):
        return Mirrored(0, behind=(f"there is no alias {alias}",))
    target = calls.call("describe_alias", alias)["collection_name"]
    if target != name:
        return Mirrored(0, behind=(f"alias {alias} stands for {target}",))
    return Mirrored(1)


def drop_alias(calls: MilvusCalls, generation: Generation) -> None:
    """Drop the alias when it still stands for the generation's collection."""
    alias = collection_alias(generation.index)
    if alias in _aliases(calls, collection_name(generation)):
        calls.call("drop_alias", alias)


def _require_alias(calls: MilvusCalls, alias: str, generation: Generation) -> None:
    """See that an alias stands for a collection of the same index and lake, so that it may move.

    Raises:
        NotOurs: Somebody else put it where it is.
    """
    target = calls.call("describe_alias", alias)["collection_name"]
    whose = {key: collection_mark(generation).get(key, "") for key in ("creator", "index", "lake")}
    found = mark_of(calls, target)
    require_mark(
        None if found is None else {"lake": ""} | found,
        whose,
        f"{calls.where}: alias {alias!r} stands for {target!r}, which",
    )


def _aliases(calls: MilvusCalls, name: str) -> list[str]:
    """Aliases of a collection; of all where it has no name."""
    return list(calls.call("list_aliases", name)["aliases"])
