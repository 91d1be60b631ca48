"""What only Milvus has: index types, and a server that forgets what it had loaded."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
from pymilvus import MilvusClient

from vector_platform.indexes.backends.milvus.names import collection_name
from vector_platform.indexes.backends.milvus.settings import MilvusSettings
from vector_platform.indexes.contract import Generation, IndexUnavailable, Scope
from vector_platform.quality.retrieval.measures import asked_scope
from vector_platform_tests.integration.conftest import MilvusProcess, Server, open_index
from vector_platform_tests.integration.test_index_adapters import batch_of, keys_of, unit_vectors

pytestmark = pytest.mark.integration

GENERATION = Generation("kinds", "g0001", "tiny-1.0", 64)


@pytest.fixture
def clustered() -> np.ndarray:
    """Vectors around centres, as sentences are: uniform noise has no neighbours to find."""
    generator = np.random.default_rng(3)
    centres = generator.normal(size=(50, 64))
    drawn = centres[generator.integers(0, 50, 3000)] + 0.5 * generator.normal(size=(3000, 64))
    unit: np.ndarray = (drawn / np.linalg.norm(drawn, axis=1, keepdims=True)).astype(np.float32)
    return unit


@pytest.mark.parametrize("kind", ["AUTOINDEX", "FLAT", "HNSW", "IVF_FLAT", "IVF_SQ8"])
def test_every_index_type_finds_nearly_all_true_neighbours(
    milvus_server: Server,
    clustered: np.ndarray,
    kind: Literal["AUTOINDEX", "FLAT", "HNSW", "IVF_FLAT", "IVF_SQ8"],
) -> None:
    index = open_index(milvus_server, milvus=MilvusSettings(index_type=kind))
    index.create(GENERATION)
    rows = [
        {"id": f"r{n}", "tenant": f"t{n % 3}", "vector": vector}
        for n, vector in enumerate(clustered)
    ]
    for start in range(0, len(rows), 1000):
        index.upsert(GENERATION, batch_of(*rows[start : start + 1000]))
    index.fence(GENERATION)
    with closing(MilvusClient(milvus_server.url)) as client:
        described = client.describe_index(collection_name(GENERATION), "vector")
    assert (described["index_type"], described["metric_type"]) == (kind, "COSINE")
    found = total = 0
    for query in clustered[::100]:
        exact = clustered @ query
        for tenant, mask in ((None, 0), ("t1", np.where(np.arange(3000) % 3 == 1, 0, -9))):
            best = {f"r{n}" for n in np.argsort(-(exact + mask))[:10]}
            hits = index.search(GENERATION, query, k=10, scope=asked_scope(tenant))
            assert tenant is None or {hit.tenant for hit in hits} == {tenant}
            found += len(best & {hit.id for hit in hits})
            total += 10
    index.drop(GENERATION)
    index.close()
    assert found / total >= (1.0 if kind == "FLAT" else 0.95)


def test_a_restarted_server_is_searched_again_by_the_same_adapter(tmp_path: Path) -> None:
    server = MilvusProcess(tmp_path / "milvus")
    generation = Generation("documents", "g0001", "tiny-1.0", 16)
    index = open_index(Server("milvus", server.url), timeout_seconds=0.5)
    index.create(generation)
    index.upsert(generation, batch_of({"id": "a"}, {"id": "b", "tenant": "other"}))
    server.stop()
    with pytest.raises(IndexUnavailable, match="query"):
        index.count(generation)
    server = MilvusProcess(tmp_path / "milvus", server.port)
    try:
        assert patiently(lambda: index.count(generation)) == 2
        assert {key[0] for key in keys_of(index, generation)} == {"a", "b"}
        assert (
            len(index.search(generation, unit_vectors(1)[0], k=5, scope=Scope.all_tenants())) == 2
        )
        index.close()
    finally:
        server.stop()


def patiently(call: Callable[[], int]) -> int:
    """Call as a retry policy would: an unavailable server is asked again."""
    deadline = time.monotonic() + 20
    while True:
        try:
            return call()
        except IndexUnavailable:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)
