"""How indexes, generations, tenants and attributes are called in Pinecone.

Belongs here: pure functions between our names and Pinecone's, both ways. A name is all that ties a
namespace to its tenant and generation, so every function that makes one has one that reads it back.
"""

from __future__ import annotations

import hashlib
import re
from typing import Final
from urllib.parse import quote, unquote

from vector_platform.indexes.contract import GENERATION_NAME

# Pinecone's limits for the names of indexes and of namespaces.
_INDEX_NAME_LENGTH = 45
_NAMESPACE_LENGTH = 512
# Characters that Pinecone admits in a namespace alias: printable ASCII without # % & + / ; = ? \.
_ALIAS = re.compile(r"[\x21\x22\x24\x27-\x2a\x2c-\x2e\x30-\x3a\x3c\x3e\x40-\x5b\x5d-\x7e]{1,512}")
_NOT_AN_ALIAS = frozenset({".", "..", "__default__"})
# Pinecone's limits for the ids of documents and the names of their fields.
_DOCUMENT_ID_LENGTH = 512
_FIELD_BYTES = 64
_ATTRIBUTE_PREFIX = "attr_"
# An id that no row can have: what a fence deletes writes nothing but a log position.
NO_DOCUMENT: Final = "#fence"


def pinecone_index_name(index: str, model_version: str) -> str:
    """Pinecone index of a logical index and a model version.

    Pinecone admits lower-case letters, digits and hyphens, 45 in all. Where a model version has
    to be changed to fit, 8 hex digits of its hash keep different ones apart.
    """
    plain = re.sub(r"[^a-z0-9]+", "-", model_version).strip("-")
    name = f"{index}-{plain}"
    if plain == model_version and len(name) <= _INDEX_NAME_LENGTH:
        return name
    digest = hashlib.sha256(model_version.encode()).hexdigest()[:8]
    room = _INDEX_NAME_LENGTH - len(index) - len(digest) - 2
    return f"{index}-{plain[:room].strip('-')}-{digest}"


def namespace_name(tenant: str, generation: str) -> str:
    """Pinecone namespace of a tenant in a generation: the percent-encoded tenant, `@`, the name.

    Raises:
        ValueError: There is none: without a tenant it would be the generation's marker, it would
            be longer than a namespace may be, or the tenant is no text of Unicode.
    """
    if not tenant:
        raise ValueError("a tenant without a name has no namespace of Pinecone")
    try:
        name = f"{quote(tenant, safe='')}@{generation}"
    except UnicodeEncodeError:
        raise ValueError(f"tenant {tenant[:40]!r} is no text of Unicode") from None
    if len(name) > _NAMESPACE_LENGTH:
        raise ValueError(
            f"tenant {tenant[:40]!r}... needs a namespace of {len(name)} characters, "
            f"Pinecone takes {_NAMESPACE_LENGTH}"
        )
    return name


def generation_marker(generation: str) -> str:
    """Empty Pinecone namespace that says a generation exists before it has a row."""
    return f"@{generation}"


def parse_namespace(namespace: str) -> tuple[str, str] | None:
    """Tenant and generation of a Pinecone namespace, or None when it is not one of ours.

    The tenant of a generation's marker is the empty string.
    """
    encoded, _, generation = namespace.rpartition("@")
    if not re.fullmatch(GENERATION_NAME, generation):
        return None
    tenant = unquote(encoded)
    return (tenant, generation) if quote(tenant, safe="") == encoded else None


def namespace_alias(tenant: str) -> str | None:
    """Pinecone namespace alias that stands for a tenant, or None when its name does not fit.

    An alias is the tenant itself, so that a reader outside needs no rule; one that holds a
    character Pinecone refuses, or reads like a namespace of ours, has none.
    """
    fits = _ALIAS.fullmatch(tenant) is not None and tenant not in _NOT_AN_ALIAS
    return tenant if fits and parse_namespace(tenant) is None else None


def document_id_problem(row_id: str) -> str | None:
    """Why a row's id cannot be the id of a Pinecone document, or None when it can.

    Chunk ids are ASCII by how they are formed (`doc_id_of`), so none of them is encoded here.
    """
    if not row_id.isascii() or "\0" in row_id or not 1 <= len(row_id) <= _DOCUMENT_ID_LENGTH:
        return f"id is not 1 to {_DOCUMENT_ID_LENGTH} ASCII characters, Pinecone takes no other"
    return f"id {NO_DOCUMENT!r} is kept for fences" if row_id == NO_DOCUMENT else None


def is_attribute_field(field: str) -> bool:
    """Whether a field of a Pinecone document is there to be filtered by."""
    return field.startswith(_ATTRIBUTE_PREFIX)


def attribute_field(name: str) -> str:
    """Field of a Pinecone document that an attribute can be filtered by: `attr_price`.

    A name that is too long for one stands there by 32 hex digits of its hash.
    """
    field = f"{_ATTRIBUTE_PREFIX}{name}"
    if len(field.encode()) <= _FIELD_BYTES:
        return field
    return f"{_ATTRIBUTE_PREFIX}{hashlib.sha256(name.encode()).hexdigest()[:32]}"
