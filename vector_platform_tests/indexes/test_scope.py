"""Whose rows a search finds, whatever a backend finds.

Belongs here: the type, and the last look at hits, over an index in memory that can be made to lie.
"""

from __future__ import annotations

import importlib
import inspect

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vector_platform.indexes.base import VectorIndex
from vector_platform.indexes.contract import BoundedHits, Generation, Hit, Scope
from vector_platform.indexes.registry import BACKENDS
from vector_platform_tests.indexes.memory_index import MemoryIndex
from vector_platform_tests.integration.test_index_adapters import (
    DIMENSION,
    batch_of,
    unit_vectors,
)

GENERATION = Generation("documents", "g0001", "m.v1", DIMENSION)
# Names that are one to whoever compares by prefix, case, width, form or encoding.
ALIKE = (
    "acme", "Acme", "acme ", " acme", "acme1", "acm", "acme@g0001", "acme%20", "acme%2520", "acme/",
    "ａｃｍｅ", "acme\u0301", "acmé", "*", "%", "all", "None", "null", "", "acme,b", "b", "[acme]",
)  # fmt: skip
TENANTS = st.sampled_from(ALIKE)


class Careless(MemoryIndex):
    """Finds rows of everybody, whatever it is told."""

    def _search(self, *args: object, **how: object) -> list[Hit]:
        return super()._search(*args, **how | {"scope": Scope.all_tenants()})  # type: ignore[misc]


def filled(index: MemoryIndex) -> MemoryIndex:
    index.create(GENERATION)
    index.upsert(
        GENERATION,
        batch_of(*({"id": f"d#{n}", "tenant": name} for n, name in enumerate(ALIKE))),
    )
    index.fence(GENERATION)
    return index


@given(st.lists(TENANTS, max_size=4, unique=True), st.booleans())
def test_a_search_finds_the_rows_of_its_tenants_and_no_others(
    named: list[str], careless: bool
) -> None:
    index = filled(Careless() if careless else MemoryIndex())
    hits = index.search(GENERATION, unit_vectors(1)[0], k=100, scope=Scope.of(*named))
    assert sorted(hit.tenant for hit in hits) == sorted(named)
    assert (isinstance(hits, BoundedHits) and hits.withheld) is (careless and bool(named))


def test_of_no_tenant_nothing_is_found_and_nobody_is_asked() -> None:
    index = filled(Careless())
    index.fuse.reset()
    assert index.search(GENERATION, unit_vectors(1)[0], k=5, scope=Scope.of()) == []
    assert index.nearest(GENERATION, unit_vectors(2), k=5, scope=Scope.of()) == [[], []]
    assert index.fuse.calls == []


def test_what_is_left_out_takes_nothing_from_what_else_an_answer_says() -> None:
    class Bounded(Careless):
        def _search(self, *args: object, **how: object) -> list[Hit]:
            return BoundedHits(super()._search(*args, **how), asked=2, tenants=5, looked_at=9)

    hits = filled(Bounded()).search(GENERATION, unit_vectors(1)[0], k=9, scope=Scope.of("acme"))
    assert isinstance(hits, BoundedHits)
    assert (hits.asked, hits.tenants, hits.looked_at, hits.withheld) == (2, 5, 9, True)


@pytest.mark.parametrize("nobody", [None, 1, ["acme"], ("acme",), b"acme"])
def test_what_is_no_text_is_no_tenant(nobody: object) -> None:
    with pytest.raises(TypeError, match="a tenant is a text"):
        Scope.of(nobody)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["search", "nearest", "_search"])
def test_no_search_has_a_scope_by_default(name: str) -> None:
    for backend in BACKENDS:
        importlib.import_module(f"vector_platform.indexes.backends.{backend}.index")
    classes = {VectorIndex, *VectorIndex.__subclasses__()}
    for one in classes:
        scope = inspect.signature(getattr(one, name)).parameters["scope"]
        assert scope.default is inspect.Parameter.empty, one
