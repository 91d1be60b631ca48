"""Namespaces: create, list, describe, delete, and the index's statistics.

Belongs here: the shapes of `/namespaces` and `/describe_index_stats`.
"""

from __future__ import annotations

from typing import Any

from ..call import Call, Reply, decode_token, paged
from ..data.catalog import Catalog, Index
from ..data.naming import DEFAULT_NAMESPACE
from ..errors import RequestRefusedError, invalid
from ..limits import MAX_LIST_LIMIT, check_id, query_int

#: What a record costs beside its dense vector in the reported size; an estimate.
_RECORD_OVERHEAD_BYTES = 64


def collection(catalog: Catalog, call: Call) -> Reply:
    """Serve `/namespaces`: list, create."""
    index = catalog.get(call.path["index"])
    store = index.store
    if call.method == "POST":
        name = check_id(call.body.get("name"), "namespace name")
        schema = _declared_schema(call.body.get("schema"))
        if name == DEFAULT_NAMESPACE:
            raise invalid(f"'{DEFAULT_NAMESPACE}' is reserved and cannot be created")
        with store.session():
            if name in store.aliases:
                raise RequestRefusedError(
                    409,
                    f"'{name}' is a namespace alias",
                    reason="NAME_IN_USE_BY_ALIAS",
                    metadata={"target_namespace": store.aliases[name].target},
                )
            if store.namespace(name) is not None:
                raise RequestRefusedError(409, f"Namespace {name} already exists")
            store.create_namespace(name, schema)
            return Reply(_shown(index, name))
    prefix, after = call.argument("prefix") or "", decode_token(call.argument("paginationToken"))
    limit = query_int(call.argument("limit"), "limit", MAX_LIST_LIMIT, 1, MAX_LIST_LIMIT)
    with store.session():
        names = [name for name in store.names() if name.startswith(prefix)]
        page, more = paged([name for name in names if name > after], limit)
        shown = [_shown(index, name) for name in page]
    return Reply({"namespaces": shown, "total_count": len(names)} | more)


def item(catalog: Catalog, call: Call) -> Reply:
    """Serve `/namespaces/{namespace}`: describe, delete."""
    index = catalog.get(call.path["index"])
    store, name = index.store, call.path["namespace"]
    with store.session():
        if name in store.aliases:
            raise RequestRefusedError(
                400,
                f"'{name}' is an alias of namespace '{store.aliases[name].target}'",
                reason="NAMESPACE_OPERATION_ON_ALIAS",
                metadata={"target_namespace": store.aliases[name].target},
            )
        exists = name in store.names()
        implied = name == DEFAULT_NAMESPACE and not index.schema.has_documents
        if not exists and not (implied and call.method == "GET"):
            raise RequestRefusedError(404, f"Namespace {name} not found")
        if call.method == "GET":
            return Reply(_shown(index, name) if exists else _empty(name))
        if aliases := sorted(a.name for a in store.aliases.values() if a.target == name):
            raise RequestRefusedError(
                400,
                f"Namespace {name} is the target of alias(es) {', '.join(aliases)}; repoint or "
                "delete them first",
                reason="NAMESPACE_TARGETED_BY_ALIAS",
            )
        store.drop_namespace(name)
        return Reply({})


def statistics(catalog: Catalog, call: Call) -> Reply:
    """Serve `POST /describe_index_stats`."""
    index = catalog.get(call.path["index"])
    if call.body.get("filter"):
        raise invalid(
            "Serverless and Starter indexes do not support describing index stats with metadata "
            "filtering"
        )
    with index.store.session():
        counts = {name: index.store.count(name) for name in index.store.names()}
    schema = index.schema
    body: dict[str, Any] = {
        "namespaces": {name: {"vectorCount": count} for name, count in counts.items()},
        "indexFullness": 0.0,
        "totalVectorCount": sum(counts.values()),
        "metric": schema.metric,
        "vectorType": "dense" if schema.dense_field else "sparse",
    }
    return Reply(body | ({"dimension": schema.dimension} if schema.dense_field else {}))


def _empty(name: str) -> dict[str, Any]:
    # The service writes these two counts as strings.
    return {"name": name, "record_count": "0", "size_bytes": "0"}


def _shown(index: Index, name: str) -> dict[str, Any]:
    count = index.store.count(name)
    size = count * (index.schema.dimension * 4 + _RECORD_OVERHEAD_BYTES)
    shown = {"name": name, "record_count": str(count), "size_bytes": str(size)}
    declared = index.store.declared_schema(name)
    if declared is None:
        return shown
    fields = {"fields": sorted(declared["fields"])}
    return shown | {"schema": declared, "indexed_fields": fields}


def _declared_schema(raw: Any) -> dict[str, Any] | None:
    if raw is None:
        return None
    if not isinstance(raw, dict) or not isinstance(raw.get("fields"), dict):
        raise invalid("'schema' must be an object with 'fields'")
    return raw
