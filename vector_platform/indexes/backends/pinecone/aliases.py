"""Namespace aliases that stand for the live generation's tenants, for readers outside.

Belongs here: moving them, and telling what they stand for. Which are to change is in `terms.py`.
"""

from __future__ import annotations

from vector_platform.indexes.backends.pinecone.requests.calls import IndexCalls
from vector_platform.indexes.backends.pinecone.terms import alias_changes, tenants_in
from vector_platform.indexes.contract import Generation, Mirrored, NotOurs
from vector_platform.indexes.parallel import Parallel


def point_aliases(index: IndexCalls, generation: Generation, parallel: Parallel) -> Mirrored:
    """Let a namespace alias named like each tenant stand for its namespace here.

    Raises:
        NotOurs: A tenant's alias stands for a namespace the platform did not create.
    """
    current = index.aliases()
    tenants = tenants_in(index.namespaces(), generation)
    changes = alias_changes(current, tenants, generation)
    for alias in changes.foreign:
        raise NotOurs(
            f"{index.where}: namespace alias {alias!r} stands for {current[alias]!r}, which "
            "the platform did not create; remove that alias"
        )
    parallel.each(index.delete_alias, changes.delete)
    parallel.each(lambda item: index.create_alias(*item), list(changes.create.items()))
    parallel.each(lambda item: index.repoint_alias(*item), list(changes.repoint.items()))
    return Mirrored(changes.aliases, len(changes.without))


def alias_mirrors(index: IndexCalls, generation: Generation) -> Mirrored:
    """Aliases of tenants that stand for another generation, are missing, or one too many."""
    current = index.aliases()
    changes = alias_changes(current, tenants_in(index.namespaces(), generation), generation)
    moved = [*changes.repoint, *changes.delete]
    behind = [
        *(f"alias {alias!r} stands for {current[alias]}" for alias in moved),
        *(f"there is no alias {alias!r}" for alias in changes.create),
    ]
    aliases = changes.aliases - len(changes.create) - len(changes.repoint)
    return Mirrored(aliases, len(changes.without), tuple(behind))
