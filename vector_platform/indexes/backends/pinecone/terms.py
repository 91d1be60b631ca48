"""What is said to Pinecone: index names and tags, whose a namespace or alias is, alias changes.

Belongs here: pure functions from our values to Pinecone's terms.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote

from vector_platform.indexes.backends.pinecone.names import (
    document_id_problem,
    namespace_alias,
    namespace_name,
    parse_namespace,
    pinecone_index_name,
)
from vector_platform.indexes.contract import Generation, RowKey

# Namespace aliases that an index holds at most.
INDEX_ALIASES: Final = 1000


def index_name(generation: Generation) -> str:
    """Pinecone index that holds the generation."""
    return pinecone_index_name(generation.index, generation.model_version)


def stamp_tag(generation: str) -> str:
    """Tag of an index that holds a generation's stamp; an index has 20 tags at most."""
    return f"stamp-{generation}"


def stamps_in(found: Mapping[str, str]) -> dict[str, str]:
    """Generation -> stamp, from the tags of an index."""
    return {
        key.removeprefix(stamp_tag("")): stamp
        for key, stamp in found.items()
        if key.startswith(stamp_tag(""))
    }


def generations_in(namespaces: Iterable[str]) -> set[str]:
    """Generations that have a namespace, be it their marker, among these."""
    return {parsed[1] for parsed in map(parse_namespace, namespaces) if parsed}


def tenants_in(namespaces: Iterable[str], generation: Generation) -> dict[str, str]:
    """Tenant -> namespace, of one generation."""
    return {
        parsed[0]: namespace
        for namespace in namespaces
        if (parsed := parse_namespace(namespace)) and parsed[0] and parsed[1] == generation.name
    }


@dataclass(frozen=True)
class RowsAsked:
    """Rows of one namespace that one request names.

    Attributes:
        tenant: Whose.
        namespace: Where.
        ids: Which.
    """

    tenant: str
    namespace: str
    ids: Sequence[str]


def rows_asked(rows: Sequence[RowKey], generation: Generation, most: int) -> list[RowsAsked]:
    """Rows by namespace, at most so many ids each.

    The one way for ids and tenants of rows into a request that reads or deletes. What cannot be
    an id or a namespace of Pinecone is left out: no such row was ever written.
    """
    by_tenant: dict[str, list[str]] = {}
    for row_id, tenant in dict.fromkeys(rows):
        if document_id_problem(row_id) is None:
            by_tenant.setdefault(tenant, []).append(row_id)
    return [
        RowsAsked(tenant, namespace, ids[start : start + most])
        for tenant, ids in by_tenant.items()
        if (namespace := namespace_of(tenant, generation)) is not None
        for start in range(0, len(ids), most)
    ]


def namespace_of(tenant: str, generation: Generation) -> str | None:
    """Namespace of a tenant in a generation; None for a tenant that can have none."""
    try:
        return namespace_name(tenant, generation.name)
    except ValueError:
        return None


def alias_path(alias: str) -> str:
    """REST path of a namespace alias."""
    return f"/namespace-aliases/{quote(alias, safe='')}"


def is_ours(alias: str, target: str) -> bool:
    """Whether an alias is one the platform makes: named like the tenant it stands for."""
    parsed = parse_namespace(target)
    return parsed is not None and parsed[0] == alias


@dataclass(frozen=True)
class AliasChanges:
    """What makes the aliases of an index stand for the tenants of one generation.

    Attributes:
        delete: Aliases to other generations of tenants that this one does not have.
        create: Alias -> namespace.
        repoint: Alias -> namespace.
        foreign: Aliases in the way that the platform did not create.
        aliases: Aliases of this generation's tenants when all is done.
        without: Tenants that get none: there is no room, or Pinecone refuses the name.
    """

    delete: list[str]
    create: dict[str, str]
    repoint: dict[str, str]
    foreign: list[str]
    without: list[str]
    aliases: int


def alias_changes(
    current: Mapping[str, str], tenants: Iterable[str], generation: Generation
) -> AliasChanges:
    """Compare the aliases there are (alias -> namespace) with those of a generation's tenants."""
    own = sorted(tenants)
    wanted = {
        alias: namespace_name(tenant, generation.name)
        for tenant in own
        if (alias := namespace_alias(tenant)) is not None
    }
    delete = [a for a in sorted(current) if a not in wanted and is_ours(a, current[a])]
    missing = [alias for alias in wanted if alias not in current]
    room = INDEX_ALIASES - len(current) + len(delete)
    return AliasChanges(
        delete=delete,
        create={alias: wanted[alias] for alias in missing[:room]},
        repoint={a: ns for a, ns in wanted.items() if a in current and current[a] != ns},
        foreign=[a for a in wanted if a in current and not is_ours(a, current[a])],
        aliases=len(wanted) - len(missing[room:]),
        without=[*missing[room:], *(t for t in own if namespace_alias(t) is None)],
    )
