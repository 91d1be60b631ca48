"""A Pinecone-compatible server for each test module, spoken to by the unmodified SDK."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from pinecone import Pinecone

from vector_platform.local.pinecone_server import PineconeServer

API_KEY = "test-key"
DIMENSION = 4
SCHEMA: dict[str, Any] = {
    "fields": {
        "vector": {"type": "dense_vector", "dimension": DIMENSION, "metric": "cosine"},
        "keywords": {"type": "sparse_vector"},
        "body": {"type": "string", "full_text_search": {}},
    }
}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PineconeServer]:
    folder = tmp_path_factory.mktemp("pinecone")
    with PineconeServer(folder, port=0, api_key=API_KEY) as running:
        yield running


@pytest.fixture
def client(server: PineconeServer) -> Iterator[Pinecone]:
    sdk = Pinecone(api_key=API_KEY, host=server.url)
    yield sdk
    for left in sdk.indexes.list():
        sdk.indexes.configure(left.name, deletion_protection="disabled")
        sdk.indexes.delete(left.name)


@pytest.fixture
def index(client: Pinecone) -> Any:
    client.indexes.create(name="documents", schema=SCHEMA)
    return client.index(name="documents")


def document(name: str, /, vector: list[float] | None = None, **fields: Any) -> dict[str, Any]:
    """A document of the test schema; the vector defaults to the first axis."""
    return {"_id": name, "vector": vector or [1.0, 0.0, 0.0, 0.0], **fields}


def nearest(vector: list[float]) -> list[dict[str, Any]]:
    """A scoring clause of the test schema."""
    return [{"type": "dense_vector", "field": "vector", "values": vector}]
