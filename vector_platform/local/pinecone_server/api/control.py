"""The control plane: create, describe, list, configure and delete indexes.

Belongs here: the request and response shapes of `/indexes`.
"""

from __future__ import annotations

import re
import uuid
from typing import Any

from ..call import Call, Reply
from ..data.catalog import Catalog, Index, merged_tags
from ..data.schema import parse_schema
from ..errors import (
    RequestRefusedError,
    invalid,
    not_implemented,
    undeserializable,
)
from ..limits import MAX_TAGS, check_index_name, check_tags

API_VERSION = "2026-07"
_CREATE_KEYS = {
    "name", "schema", "deployment", "read_capacity", "deletion_protection", "tags", "cmek_id",
    "source_collection",
}  # fmt: skip
_CONFIGURE_KEYS = {"schema", "deployment", "read_capacity", "deletion_protection", "tags"}
_DEFAULT_DEPLOYMENT = {"deployment_type": "managed", "cloud": "aws", "region": "us-east-1"}
_REGION = re.compile(r"[a-z]+[a-z0-9-]*")


def collection(catalog: Catalog, call: Call) -> Reply:
    """Serve `/indexes`: list, create."""
    _check_version(call)
    if call.method == "GET":
        return Reply({"indexes": [describe(index, call) for index in catalog.indexes()]})
    body = call.body
    _refuse_unknown(body, _CREATE_KEYS)
    for key in ("cmek_id", "source_collection"):
        if body.get(key) is not None:
            raise not_implemented(f"'{key}'")
    _check_read_capacity(body)
    tags = check_tags(body["tags"]) if body.get("tags") is not None else None
    index = catalog.create(
        check_index_name(body.get("name") or f"index-{uuid.uuid4().hex[:8]}"),
        parse_schema(body.get("schema")),
        deployment=_deployment(body.get("deployment") or _DEFAULT_DEPLOYMENT),
        deletion_protection=_protection(body.get("deletion_protection") or "disabled"),
        tags=_within_limit(merged_tags(None, tags)),
    )
    return Reply(describe(index, call), 201)


def item(catalog: Catalog, call: Call) -> Reply:
    """Serve `/indexes/{name}`: describe, configure, delete."""
    _check_version(call)
    name = call.path["name"]
    index = catalog.get(name)
    if call.method == "DELETE":
        catalog.delete(name)
        return Reply(None, 202)
    if call.method == "PATCH":
        body = call.body
        _refuse_unknown(body, _CONFIGURE_KEYS)
        if body.get("schema") is not None:
            raise not_implemented("changes of an index's schema; create a new index")
        if body.get("deployment") is not None:
            raise not_implemented("changes of an index's deployment")
        _check_read_capacity(body)
        tags = check_tags(body["tags"]) if body.get("tags") is not None else None
        _within_limit(merged_tags(index.settings.tags, tags))
        protection = body.get("deletion_protection")
        index = catalog.configure(
            name,
            deletion_protection=None if protection is None else _protection(protection),
            tags=tags,
        )
    return Reply(describe(index, call))


def describe(index: Index, call: Call) -> dict[str, Any]:
    """Show an index as the control plane does; its host is a path on this same server."""
    settings = index.settings
    return {
        "name": settings.name,
        "host": f"{call.base_url}/i/{settings.name}",
        "schema": settings.schema.as_json(),
        "deployment": settings.deployment,
        "deletion_protection": settings.deletion_protection,
        "tags": settings.tags,
        "read_capacity": {"mode": "OnDemand", "status": {"state": "Ready"}},
        "status": {"ready": True, "state": "Ready"},
    }


def _check_version(call: Call) -> None:
    if call.api_version < API_VERSION:
        raise not_implemented(
            f"control plane version {call.api_version} (it speaks {API_VERSION}, as SDK 10 does)"
        )


def _refuse_unknown(body: dict[str, Any], known: set[str]) -> None:
    if unknown := sorted(set(body) - known):
        raise undeserializable(f"unknown field(s) {', '.join(unknown)}")


def _check_read_capacity(body: dict[str, Any]) -> None:
    capacity = body.get("read_capacity")
    if capacity is not None and capacity != {"mode": "OnDemand"}:
        raise not_implemented("dedicated read capacity")


def _protection(value: Any) -> str:
    if value not in ("enabled", "disabled"):
        raise undeserializable(f"deletion_protection {value!r} must be 'enabled' or 'disabled'")
    return str(value)


def _within_limit(tags: dict[str, str] | None) -> dict[str, str] | None:
    if tags and len(tags) > MAX_TAGS:
        raise invalid(f"An index can have at most {MAX_TAGS} tags, got {len(tags)}")
    return tags


def _deployment(raw: Any) -> dict[str, Any]:
    kind = raw.get("deployment_type") if isinstance(raw, dict) else None
    if kind == "pod":
        raise invalid(
            "deployment_type 'pod' is not supported on this API version. Set deployment_type to "
            "'managed' to create a serverless index."
        )
    if kind == "byoc":
        raise not_implemented("deployment_type 'byoc'")
    if kind != "managed":
        raise undeserializable(f"deployment_type {kind!r}")
    cloud, region = raw.get("cloud"), str(raw.get("region"))
    known_region = _REGION.fullmatch(region) and not region.startswith("invalid")
    if cloud not in ("aws", "gcp", "azure") or not known_region:
        raise RequestRefusedError(404, f"Resource cloud: {cloud} region: {region} not found.")
    return {"deployment_type": kind, "cloud": cloud, "region": region}
