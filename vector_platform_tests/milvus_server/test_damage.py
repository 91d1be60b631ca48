"""What a full server stores and hides: rows that are counted and not found under their tenant."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from pymilvus import MilvusClient

from vector_platform.indexes.backends.milvus.names import collection_name
from vector_platform.indexes.backends.milvus.rows import milvus_rows
from vector_platform.indexes.base import VectorIndex
from vector_platform.indexes.contract import INDEX_KEY, Generation, RowsRejected, Scope
from vector_platform.indexes.plan import Plan, compare
from vector_platform_tests.integration.conftest import Server
from vector_platform_tests.integration.test_index_adapters import (  # noqa: F401
    DIMENSION,
    batch_of,
    generation,
    unit_vectors,
)

pytestmark = [pytest.mark.integration, pytest.mark.milvus_server]

ROWS = [{"id": f"r{n:03}", "tenant": f"t{n % 5}"} for n in range(200)]


@pytest.fixture
def outsider(server: Server) -> Iterator[MilvusClient]:
    with closing(MilvusClient(server.url, dedicated=True)) as client:
        yield client


def desired() -> pa.RecordBatch:
    return batch_of(*(row.copy() for row in ROWS))


def entities(rows: pa.RecordBatch) -> list[dict[str, Any]]:
    return milvus_rows(rows, DIMENSION)[0]


def difference(target: VectorIndex, made: Generation) -> Plan:
    return compare([desired().select(INDEX_KEY.names)], target.scan(made))


def write_again(target: VectorIndex, made: Generation, plan: Plan) -> None:
    """What a repair does: the rows that differ, and no other."""
    wanted = set(plan.upserts.column("id").to_pylist())
    rows = desired()
    target.upsert(made, rows.filter(pa.array([id in wanted for id in rows["id"].to_pylist()])))
    target.fence(made)


def test_rows_that_an_upsert_hid_from_their_tenants_are_missing_and_found_once_rewritten(
    target: VectorIndex,
    generation: Generation,  # noqa: F811
    outsider: MilvusClient,
) -> None:
    target.upsert(generation, desired())
    name = collection_name(generation)
    outsider.upsert(name, entities(desired().slice(0, 50)))
    target.fence(generation)
    # Stored, counted, found by id and without a filter ...
    assert target.count(generation) == 200
    by_id = outsider.query(
        name, ids=[f"r{n:03}" for n in range(50)], output_fields=["tenant"], consistency_level=0
    )
    assert [row["tenant"] for row in by_id] == [f"t{n % 5}" for n in range(50)]
    everything = target.search(generation, unit_vectors(1)[0], k=300, scope=Scope.all_tenants())
    assert len(everything) == 200
    # ... and not where its tenant looks, which is what counts.
    found = {
        hit.id
        for number in range(5)
        for hit in target.search(
            generation, unit_vectors(1)[0], k=300, scope=Scope.of(f"t{number}")
        )
    }
    hidden = {row["id"] for row in ROWS} - found
    assert 30 < len(hidden) <= 50
    plan = difference(target, generation)
    assert (plan.missing, plan.orphaned, plan.moved, plan.duplicated) == (len(hidden), 0, 0, 0)
    assert set(plan.upserts["id"].to_pylist()) == hidden
    write_again(target, generation, plan)
    assert difference(target, generation).empty
    assert target.count(generation) == 200


def test_a_row_inserted_twice_is_named_for_each_copy_and_rewriting_leaves_one(
    target: VectorIndex,
    generation: Generation,  # noqa: F811
    outsider: MilvusClient,
) -> None:
    target.upsert(generation, desired())
    name = collection_name(generation)
    outsider.insert(name, entities(desired().slice(10, 3)))
    outsider.insert(name, entities(desired().slice(10, 1)))
    outsider.flush(name)  # copies in segments of their own are what a query answers once
    target.fence(generation)
    assert target.count(generation) == 204
    plan = difference(target, generation)
    assert not plan.empty
    assert {"r010", "r011", "r012"} <= set(plan.upserts["id"].to_pylist())
    write_again(target, generation, plan)
    assert difference(target, generation).empty
    assert target.count(generation) == 200


def test_a_row_that_somebody_moved_to_another_tenant_is_in_the_wrong_tenant(
    target: VectorIndex,
    generation: Generation,  # noqa: F811
    outsider: MilvusClient,
) -> None:
    target.upsert(generation, desired())
    name = collection_name(generation)
    outsider.delete(name, ids=["r007"])
    outsider.insert(name, entities(batch_of({"id": "r007", "tenant": "thief"})))
    outsider.delete(name, ids=["r008"])
    outsider.insert(name, entities(batch_of({"id": "added"})))
    target.fence(generation)
    plan = difference(target, generation)
    assert (plan.missing, plan.moved, plan.orphaned) == (2, 1, 1)
    write_again(target, generation, plan)
    target.delete(generation, [("added", "default")])
    target.fence(generation)
    assert difference(target, generation).empty
    assert target.count(generation) == 200


@pytest.mark.deep
def test_large_tenants_are_read_through_an_iterator_without_losing_rows(
    target: VectorIndex,
    generation: Generation,  # noqa: F811
    outsider: MilvusClient,
) -> None:
    vectors = unit_vectors(20_000)
    rows = [
        {"id": f"d{n}#{n % 7}", "tenant": "large" if n % 10 else "small", "vector": vectors[n]}
        for n in range(20_000)
    ]
    for start in range(0, len(rows), 5000):
        target.upsert(generation, batch_of(*(row.copy() for row in rows[start : start + 5000])))
        outsider.flush(collection_name(generation))
    gone, changed = rows[1:9000:9], rows[2:20_000:11]
    target.delete(generation, [(row["id"], "large") for row in gone if row["tenant"] == "large"])
    for start in range(0, len(changed), 1000):
        part = [row | {"digest": "newer"} for row in changed[start : start + 1000]]
        target.upsert(generation, batch_of(*part))
    target.fence(generation)
    expected = {row["id"]: f"digest of {row['id']}" for row in rows}
    for row in gone:
        if row["tenant"] == "large":
            del expected[row["id"]]
    expected |= {row["id"]: "newer" for row in changed}
    found = [row for batch in target.scan(generation) for row in batch.to_pylist()]
    assert {row["id"]: row["digest"] for row in found} == expected
    assert len(found) == len(expected) == target.count(generation)


@pytest.mark.deep
def test_requests_stay_below_what_a_server_takes(
    target: VectorIndex,
    generation: Generation,  # noqa: F811
) -> None:
    rows = [{"id": f"r{n}", "text": "x" * 60_000} for n in range(1200)]  # 72 MB in one batch
    target.upsert(generation, batch_of(*rows))
    target.fence(generation)
    assert target.count(generation) == 1200


@pytest.mark.deep
def test_a_search_right_after_the_fence_sees_every_write(
    target: VectorIndex,
    generation: Generation,  # noqa: F811
) -> None:
    vector = unit_vectors(1)[0]
    for number in range(20):
        target.upsert(
            generation, batch_of({"id": f"r{number}", "vector": vector, "digest": str(number)})
        )
        if number % 4 == 3:
            target.delete(generation, [(f"r{number - 1}", "default")])
        target.fence(generation)
        hits = target.search(generation, vector, k=50, scope=Scope.of("default"))
        expected = {f"r{n}" for n in range(number + 1) if n % 4 != 2 or n == number}
        assert {hit.id for hit in hits} == expected


def test_a_row_that_only_the_server_refuses_is_named(
    target: VectorIndex,
    generation: Generation,  # noqa: F811
) -> None:
    bad = np.full(DIMENSION, np.nan, np.float32)
    with pytest.raises(RowsRejected) as caught:
        target.upsert(generation, batch_of({"id": "a"}, {"id": "nan", "vector": bad}, {"id": "b"}))
    assert "NaN" in caught.value.reasons["nan"]
    target.fence(generation)
    assert target.count(generation) == 2


@pytest.mark.deep
def test_a_released_collection_is_loaded_again(
    target: VectorIndex,
    generation: Generation,  # noqa: F811
    outsider: MilvusClient,
) -> None:
    target.upsert(generation, batch_of({"id": "a"}))
    outsider.release_collection(collection_name(generation))
    assert len(target.search(generation, unit_vectors(1)[0], k=3, scope=Scope.all_tenants())) == 1
    outsider.release_collection(collection_name(generation))
    assert target.count(generation) == 1


def test_the_mark_is_kept_in_properties_and_in_the_description(
    generation: Generation,  # noqa: F811
    outsider: MilvusClient,
) -> None:
    described = outsider.describe_collection(collection_name(generation))
    assert described["properties"]["creator"] == "vector_platform"
    assert f'"model_version": "{generation.model_version}"' in described["description"]
