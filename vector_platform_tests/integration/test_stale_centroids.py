"""A real IVF index that was built before new content came: seen by its slice, mended by a rebuild.

The vectors are clusters on a sphere; what comes later lies in clusters that the build knew nothing
of. Milvus clusters every segment by itself: the few rows that came later are cut into as many cells
as the many before, and a search looks into the same small number of them. Readers lose as much as
by centroids that were never there.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from vector_platform.indexes.backends.milvus.settings import MilvusSettings
from vector_platform.indexes.base import VectorIndex
from vector_platform.indexes.state import GenerationState
from vector_platform.lake.lake import Lake
from vector_platform.quality.recall.index_queries import NEW, OLD, stored_queries
from vector_platform.quality.recall.index_recall import IndexRecall, examine, judge
from vector_platform_tests.integration.conftest import Server, open_index
from vector_platform_tests.lake.building import (
    MODEL,
    append_vectors,
    chunk,
    open_lake,
    put,
    register,
)
from vector_platform_tests.syncing import index_sync

pytestmark = pytest.mark.integration

DIMENSION = 32
EARLY, LATE = 2000, 300
FLOOR = 0.9


@pytest.fixture
def target(milvus_server: Server) -> Iterator[VectorIndex]:
    settings = MilvusSettings(
        index_type="IVF_FLAT", index_params={"nlist": 64}, search_params={"nprobe": 4}
    )
    index = open_index(milvus_server, milvus=settings)
    yield index
    index.close()


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    lake = open_lake(tmp_path)
    register(lake, dimension=DIMENSION)
    return lake


def clustered(count: int, *, clusters: int, half: int, seed: int) -> np.ndarray:
    """Unit vectors around directions that lie in one half of the dimensions."""
    rng = np.random.default_rng(seed)
    centres = np.zeros((clusters, DIMENSION))
    width = DIMENSION // 2
    centres[:, half * width : (half + 1) * width] = rng.standard_normal((clusters, width))
    centres /= np.linalg.norm(centres, axis=1, keepdims=True)
    vectors = centres[rng.integers(clusters, size=count)]
    vectors = vectors + 0.1 * rng.standard_normal((count, DIMENSION))
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def add(lake: Lake, name: str, vectors: np.ndarray, *, day: int) -> None:
    rows = [chunk(f"s:{name}{n}", f"{name} {n}") for n in range(len(vectors))]
    put(lake, *rows)
    by_hash = {row["content_hash"]: vector for row, vector in zip(rows, vectors, strict=True)}
    append_vectors(lake, MODEL, by_hash, run_id=name, day=day)


def judged(lake: Lake, target: VectorIndex, state: GenerationState) -> IndexRecall:
    assert state.snapshot is not None
    queries = stored_queries(lake, MODEL, state.snapshot, built_at=state.created_at)
    return judge(examine(lake, target, state.identity, state.snapshot, queries), floor=FLOOR)


def test_recall_on_what_came_since_the_build_falls_and_a_rebuild_restores_it(
    lake: Lake, target: VectorIndex, tmp_path: Path
) -> None:
    sync = index_sync(lake, target, tmp_path, index="stale")
    add(lake, "early", clustered(EARLY, clusters=60, half=0, seed=1), day=0)
    sync.sync(MODEL)
    # After any build that this machine's clock could say.
    add(lake, "late", clustered(LATE, clusters=8, half=1, seed=2), day=365 * 100)
    stale = sync.sync(MODEL).generation
    found = judged(lake, target, stale)
    slices = {part.name: part for part in found.slices}
    assert not slices[OLD].below and slices[OLD].recall.low > FLOOR
    assert slices[NEW].below and slices[NEW].recall.high < FLOOR
    assert not found.holds and found.facts()["worst_slice"] == NEW
    assert found.recall.mean > slices[NEW].recall.mean + 0.05
    fresh = sync.build(MODEL).generation
    rebuilt = judged(lake, target, fresh)
    assert rebuilt.holds
