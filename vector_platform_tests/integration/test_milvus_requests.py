"""What the adapter asks of Milvus: few requests however many tenants, and deletions that happen."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

from vector_platform.indexes.backends.milvus.calls import MilvusCalls
from vector_platform.indexes.backends.milvus.index import MilvusVectorIndex
from vector_platform.indexes.base import VectorIndex
from vector_platform.indexes.contract import Generation, IndexRejected, RowKey
from vector_platform_tests.integration.conftest import Server, open_index
from vector_platform_tests.integration.hostile_values import DIMENSION, assert_holds, write

pytestmark = pytest.mark.integration

TENANTS = 600
# The most that one call may ask for so many tenants: on a server, one scan and one count for each
# partition of 16, and what finds the tenants.
MOST_REQUESTS = 50


@pytest.fixture(scope="module")
def index(milvus_server: Server) -> Iterator[VectorIndex]:
    opened = open_index(milvus_server)
    yield opened
    opened.close()


@pytest.fixture
def generation(index: VectorIndex) -> Iterator[Generation]:
    made = Generation("requests", "g0001", "tiny-1.0", DIMENSION)
    index.create(made)
    yield made
    index.drop(made)


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    counted: Counter[str] = Counter()
    call = MilvusCalls._call

    def counting(self: MilvusCalls, method: str, *args: Any, **options: Any) -> Any:
        counted[method] += 1
        return call(self, method, *args, **options)

    monkeypatch.setattr(MilvusCalls, "_call", counting)
    return counted


def test_many_tenants_are_read_counted_and_removed_in_few_requests(
    index: VectorIndex, generation: Generation, asked: Counter[str]
) -> None:
    rows = {
        (f"row {n}", f"tenant {n}"): {"digest": str(n), "attributes": {}} for n in range(TENANTS)
    }
    keys: list[RowKey] = list(rows)
    assert write(index, generation, rows) == set()
    index.fence(generation)
    for ask in (
        lambda: list(index.scan(generation)),
        lambda: list(index.find(generation, keys)),
        lambda: index.counts(generation, [tenant for _, tenant in keys]),
        lambda: index.whole_rows(generation, keys),
        lambda: index.tenants(generation),
        lambda: index.delete(generation, keys[1:]),
    ):
        asked.clear()
        ask()
        assert 0 < asked.total() <= MOST_REQUESTS, asked
    index.fence(generation)
    assert_holds(index, generation, {keys[0]: rows[keys[0]]}, strangers=keys[1:9])


def test_a_deletion_that_is_acknowledged_and_leaves_rows_fails(
    index: VectorIndex, generation: Generation, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = [("a", "t"), ("b", "t")]
    rows = {key: {"digest": "1", "attributes": {}} for key in keys}
    assert write(index, generation, rows) == set()
    assert isinstance(index, MilvusVectorIndex)
    monkeypatch.setattr(MilvusCalls, "delete", lambda *_: None)
    with pytest.raises(IndexRejected, match="2 of 2 rows are still there after their deletion"):
        index.delete(generation, keys)
    monkeypatch.undo()
    index.delete(generation, keys)
    index.fence(generation)
    assert_holds(index, generation, {})
