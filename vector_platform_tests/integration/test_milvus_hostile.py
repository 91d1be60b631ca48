"""Hostile ids, tenants and attributes on Milvus: stored as they are, or refused by name."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import example, given

from vector_platform.indexes.backends.milvus.rows import FIELD_BYTES
from vector_platform.indexes.contract import Generation, IndexRejected, Scope
from vector_platform_tests.integration.conftest import Server
from vector_platform_tests.integration.hostile_values import (
    DIMENSION,
    EVERY_KNOWN,
    KNOWN,
    Hostile,
    Row,
    assert_holds,
    begin,
    begun,
    bystanders,
    live_through,
    rows,
    vector_of,
    write,
)
from vector_platform_tests.tiers import examples

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def hostile(milvus_server: Server) -> Iterator[Hostile]:
    with begun(milvus_server) as made:
        yield made


def admits(row_id: str, tenant: str) -> bool:
    """Milvus takes everything that fits its fields."""
    return (
        len(row_id.encode()) <= FIELD_BYTES["id"] and len(tenant.encode()) <= FIELD_BYTES["tenant"]
    )


@example(EVERY_KNOWN)
@given(rows())
@examples(2)
def test_no_value_reaches_further_than_its_row(hostile: Hostile, drawn: list[Row]) -> None:
    live_through(hostile.index, hostile.generation, drawn, admits=admits)


def test_a_tenant_that_no_row_can_have_is_one_line_and_no_traceback(
    hostile: Hostile,
) -> None:
    index, generation = hostile.index, hostile.generation
    for tenant, says in (("t" * 1024, "has 1024 bytes, Milvus takes 512"), ("\udcff", "Unicode")):
        with pytest.raises(IndexRejected, match=says) as caught:
            index.search(generation, vector_of("", ""), k=3, scope=Scope.of(tenant))
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["../up", "a b", "", "1st", "x" * 256, 'a"; drop', "é"])
def test_a_name_that_is_none_is_refused_before_anything_is_asked(
    hostile: Hostile, name: str
) -> None:
    index = hostile.index
    for refused in (index.create, index.exists, index.drop, index.count, index.point):
        with pytest.raises(IndexRejected, match="names no collection"):
            refused(Generation(f"{name}!", "g0001", "tiny-1.0", DIMENSION))


def test_a_scan_of_many_pages_names_every_hostile_id_once(
    hostile: Hostile, monkeypatch: pytest.MonkeyPatch
) -> None:
    index = hostile.index
    made = Generation("paged", "g0001", "tiny-1.0", DIMENSION)
    begin(index, made)
    values = sorted(
        value for value in {*KNOWN, *map(chr, range(1, 128))} if admits(value, "of all")
    )
    wanted = {(value, "of all"): {"digest": repr(value)[:20], "attributes": {}} for value in values}
    assert write(index, made, wanted) == set()
    index.fence(made)
    for rows_a_page in (1, 7, 64):
        monkeypatch.setattr(index._milvus, "page_rows", rows_a_page)  # type: ignore[attr-defined]
        assert_holds(index, made, bystanders() | wanted)
    index.drop(made)
