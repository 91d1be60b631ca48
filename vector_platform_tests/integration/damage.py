"""Damage done to both backends behind the platform's back."""

from __future__ import annotations

from contextlib import closing
from typing import Any

from vector_platform.indexes.backends.milvus.names import collection_name
from vector_platform.indexes.backends.pinecone.names import namespace_name
from vector_platform_tests.integration.deployments import (
    Deployment,
)


def damage_milvus(home: Deployment) -> None:
    state = home.generation("milvus")
    name = collection_name(state.identity)
    with closing(home.milvus()) as client:

        def row(row_id: str) -> dict[str, Any]:
            (found,) = client.query(name, ids=[row_id], output_fields=["*"])
            return dict(found)

        client.delete(name, ids=["items:i0#0"])
        client.upsert(name, [row("items:i1#0") | {"digest": "forged"}])
        client.upsert(name, [row("items:i2#0") | {"id": "items:stranger#0"}])
        client.upsert(name, [row("items:i4#0") | {"tenant": "west"}])


def damage_pinecone(home: Deployment) -> None:
    state = home.generation("pinecone")
    east, west = (namespace_name(tenant, state.generation) for tenant in ("east", "west"))
    with home.pinecone_index() as index:

        def row(namespace: str, row_id: str) -> dict[str, Any]:
            found = index.documents.fetch(namespace=namespace, ids=[row_id]).documents
            return dict(found[row_id].to_dict())

        index.documents.delete(namespace=east, ids=["items:i0#0"])
        index.documents.upsert(
            namespace=west, documents=[row(west, "items:i1#0") | {"digest": "forged"}]
        )
        index.documents.upsert(
            namespace=east, documents=[row(east, "items:i2#0") | {"_id": "items:stranger#0"}]
        )
        index.documents.upsert(
            namespace=west, documents=[row(east, "items:i4#0") | {"tenant": "west"}]
        )
        index.documents.delete(namespace=east, ids=["items:i4#0"])
