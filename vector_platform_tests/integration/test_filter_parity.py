"""Filters on real backends: the rows that the plain-Python meaning says, and no others."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from vector_platform.indexes.base import VectorIndex
from vector_platform.indexes.contract import INDEX_ROW, BoundedHits, Generation, Scope
from vector_platform.indexes.filtering.conditions import (
    AnyOf,
    Compared,
    Condition,
    Exists,
    Not,
    OneOf,
    matches,
)
from vector_platform.indexes.filtering.language import MAX_DEPTH, MAX_TESTS, MAX_VALUES
from vector_platform.lake.contract import canonical_json
from vector_platform.quality.retrieval.measures import asked_scope
from vector_platform_tests.indexes.filtering.drawn import CONDITIONS, KEYS
from vector_platform_tests.integration.hostile_values import KNOWN

pytestmark = pytest.mark.integration

DIMENSION = 8
TENANTS = ("one", "other")
# Every value under a key, each key with values of every type, and rows without any.
VALUES: tuple[Any, ...] = (
    *(True, False, 0, 1, 1.5, -1, 5, 2**53, -(2**53), 1e300, 1e-300),
    *("", "a", "A", "true", "1", '["a"]', "a%", *KNOWN),
    *([], ["a"], ["a", "true"], ['["a"]'], [KNOWN[0], KNOWN[5]]),
)
ROWS: list[tuple[str, str, dict[str, Any]]] = [
    (f"row {place:04}", TENANTS[place % 2], attributes)
    for place, attributes in enumerate(
        [
            {},
            *({"a": value} for value in VALUES),
            *({key: value, "b": 5} for key, value in zip(KEYS * 9, VALUES, strict=False)),
        ]
    )
]


@pytest.fixture(scope="module")
def generation(target: VectorIndex) -> Iterator[Generation]:
    made = Generation("filtered", "g0001", "tiny-1.0", DIMENSION)
    target.create(made)
    vectors = np.random.default_rng(7).normal(size=(len(ROWS), DIMENSION)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    columns = {
        "id": [row_id for row_id, _, _ in ROWS],
        "tenant": [tenant for _, tenant, _ in ROWS],
        "vector": list(vectors),
        "attributes": [canonical_json(attributes) for _, _, attributes in ROWS],
    }
    same = {name: [name] * len(ROWS) for name in ("digest", "region", "doc_id", "title", "text")}
    target.upsert(made, pa.RecordBatch.from_pydict(columns | same, schema=INDEX_ROW))
    target.fence(made)
    yield made
    target.drop(made)


def found(
    target: VectorIndex, generation: Generation, condition: Condition, tenant: str | None
) -> set[str]:
    vector = np.eye(DIMENSION, dtype=np.float32)[0]
    hits = target.search(
        generation, vector, k=len(ROWS), scope=asked_scope(tenant), where=condition
    )
    assert not isinstance(hits, BoundedHits)
    assert len({hit.id for hit in hits}) == len(hits)
    return {hit.id for hit in hits}


def meant(condition: Condition, tenant: str | None) -> set[str]:
    return {
        row_id
        for row_id, owner, attributes in ROWS
        if tenant in (None, owner) and matches(condition, attributes)
    }


Check = Callable[[Condition, str | None], None]


@pytest.fixture(scope="module")
def check(target: VectorIndex, generation: Generation) -> Check:
    def same(condition: Condition, tenant: str | None) -> None:
        assert found(target, generation, condition, tenant) == meant(condition, tenant)

    return same


@pytest.mark.parametrize("value", [True, 1, 0.0, 5, "a", "true", '["a"]', "", KNOWN[0], "ends\\"])
@pytest.mark.parametrize("wanted", [True, False])
def test_equality_is_of_a_value_and_its_type(check: Check, value: Any, wanted: bool) -> None:
    test = OneOf("a", (value,))
    check(test if wanted else Not(test), "one")


@pytest.mark.parametrize("order", ["gt", "lte"])
@pytest.mark.parametrize("wanted", [True, False])
def test_only_numbers_are_compared(check: Check, order: Any, wanted: bool) -> None:
    test = Compared("a", order, 1)
    check(test if wanted else Not(test), None)


@pytest.mark.parametrize("key", KEYS)
def test_a_key_is_data_whatever_it_says(check: Check, key: str) -> None:
    check(Exists(key), None)
    check(Not(Exists(key)), "other")
    check(OneOf(key, VALUES[:30]), None)


def test_the_largest_filters_are_answered(check: Check) -> None:
    many = OneOf("a", (*(f"value {at}" for at in range(MAX_VALUES - 1)), "a"))
    deep: Condition = AnyOf((OneOf("a", ("a",)), OneOf("b", (5,))))
    for _ in range(MAX_DEPTH - 2):
        deep = Not(AnyOf((deep, Exists("c"))))
    wide = AnyOf(tuple(OneOf("a", (f"value {at}", at)) for at in range(MAX_TESTS)))
    for condition in (many, Not(many), deep, wide, Not(wide)):
        check(condition, None)


def test_few_hits_are_the_nearest_that_meet_the_condition(
    target: VectorIndex, generation: Generation
) -> None:
    vector = np.eye(DIMENSION, dtype=np.float32)[0]
    where = Not(Compared("a", "gt", 0))
    for k in (1, 3, 10):
        hits = target.search(generation, vector, k=k, scope=Scope.of("one"), where=where)
        every = target.search(generation, vector, k=len(ROWS), scope=Scope.of("one"))
        attributes = {row_id: found for row_id, _, found in ROWS}
        right = [hit.id for hit in every if matches(where, attributes[hit.id])][:k]
        assert [hit.id for hit in hits] == right


@given(st.lists(CONDITIONS, min_size=1, max_size=4))
@settings(max_examples=8, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_generated_filters_mean_the_same_everywhere(
    check: Check, conditions: list[Condition]
) -> None:
    for condition, tenant in zip(conditions, itertools.cycle((None, *TENANTS)), strict=False):
        check(condition, tenant)


@pytest.mark.deep
@given(st.lists(CONDITIONS, min_size=1, max_size=8))
@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_hundreds_of_generated_filters_mean_the_same_everywhere(
    check: Check, conditions: list[Condition]
) -> None:
    for condition, tenant in zip(conditions, itertools.cycle((None, *TENANTS)), strict=False):
        check(condition, tenant)
