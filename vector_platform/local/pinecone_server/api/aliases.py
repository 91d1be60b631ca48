"""Namespace aliases: a movable name that reads follow to a namespace of the same index.

Belongs here: managing aliases over REST.

A repoint is one transaction and one dictionary assignment under the index's lock: a read either
sees the old target or the new one, never none.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

from ..call import Call, Reply, decode_token, paged, timestamp
from ..data.catalog import Catalog
from ..data.naming import DEFAULT_NAMESPACE
from ..data.store import Alias, IndexStore
from ..errors import RequestRefusedError, invalid
from ..limits import (
    MAX_ALIASES_PER_INDEX,
    MAX_LIST_LIMIT,
    query_int,
)
from .control import API_VERSION

#: Printable ASCII but for the characters that URLs give a meaning.
_ALIAS_NAME = re.compile(r"[!-~]{1,512}")
_URL_CHARACTERS = frozenset("#%&+/;=?\\")


def collection(catalog: Catalog, call: Call) -> Reply:
    """Serve `/namespace-aliases`: list, create."""
    _check_version(call)
    store = catalog.get(call.path["index"]).store
    with store.session():
        if call.method == "POST":
            return _create(store, call.body)
        prefix, target = call.argument("prefix") or "", call.argument("target_namespace")
        limit = query_int(call.argument("limit"), "limit", MAX_LIST_LIMIT, 1, MAX_LIST_LIMIT)
        after = decode_token(call.argument("paginationToken"))
        chosen = sorted(
            alias.name
            for alias in store.aliases.values()
            if alias.name.startswith(prefix) and target in (None, alias.target)
        )
        page, more = paged([name for name in chosen if name > after], limit)
        shown = [_shown(store.aliases[name]) for name in page]
        return Reply({"namespace_aliases": shown, "total_count": len(chosen)} | more)


def item(catalog: Catalog, call: Call) -> Reply:
    """Serve `/namespace-aliases/{alias}`: describe, repoint, delete."""
    _check_version(call)
    store = catalog.get(call.path["index"]).store
    name = call.path["alias"]
    with store.session():
        alias = store.aliases.get(name)
        if alias is None:
            raise RequestRefusedError(404, f"Alias '{name}' not found", reason="ALIAS_NOT_FOUND")
        if call.method == "DELETE":
            store.delete_alias(name)
            return Reply({})
        if call.method == "PATCH":
            alias = replace(alias, target=_target(store, call.body), updated_at=timestamp())
            store.save_alias(alias)
        return Reply(_shown(alias))


def _create(store: IndexStore, body: dict[str, Any]) -> Reply:
    name = body.get("name")
    if (
        not isinstance(name, str)
        or not _ALIAS_NAME.fullmatch(name)
        or not _URL_CHARACTERS.isdisjoint(name)
        or name in (".", "..", DEFAULT_NAMESPACE)
    ):
        raise invalid(f"Invalid alias name {name!r}", reason="ALIAS_NAME_INVALID")
    if name in store.aliases:
        raise RequestRefusedError(
            409,
            f"Alias '{name}' already exists",
            reason="ALIAS_ALREADY_EXISTS",
            metadata={"target_namespace": store.aliases[name].target},
        )
    if store.namespace(name) is not None:
        raise RequestRefusedError(
            409, f"'{name}' is a namespace", reason="NAME_IN_USE_BY_NAMESPACE"
        )
    if len(store.aliases) >= MAX_ALIASES_PER_INDEX:
        raise RequestRefusedError(
            403,
            f"An index can have at most {MAX_ALIASES_PER_INDEX} namespace aliases",
            reason="ALIAS_LIMIT_EXCEEDED",
        )
    now = timestamp()
    alias = Alias(name, _target(store, body), now, now)
    store.save_alias(alias)
    return Reply(_shown(alias))


def _target(store: IndexStore, body: dict[str, Any]) -> str:
    target = body.get("target_namespace")
    if not isinstance(target, str) or not target:
        raise invalid("'target_namespace' is required", reason="TARGET_NAMESPACE_REQUIRED")
    if target in store.aliases:
        raise invalid(f"'{target}' is itself an alias", reason="TARGET_IS_ALIAS")
    if store.namespace(target) is None:
        raise invalid(f"Namespace '{target}' not found", reason="TARGET_NAMESPACE_NOT_FOUND")
    return target


def _shown(alias: Alias) -> dict[str, Any]:
    return {
        "name": alias.name,
        "target_namespace": alias.target,
        "created_at": alias.created_at,
        "updated_at": alias.updated_at,
    }


def _check_version(call: Call) -> None:
    if call.api_version < API_VERSION:
        raise invalid(
            f"Namespace aliases need X-Pinecone-Api-Version {API_VERSION} or later, got "
            f"{call.api_version}",
            reason="API_VERSION_TOO_OLD",
        )
