"""Hostile ids, tenants and attributes on Pinecone: stored as they are, or refused by name."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import example, given

from vector_platform.indexes.backends.pinecone.names import document_id_problem, namespace_name
from vector_platform.indexes.contract import IndexRejected, Scope
from vector_platform_tests.integration.conftest import Server
from vector_platform_tests.integration.hostile_values import (
    EVERY_KNOWN,
    Hostile,
    Row,
    begun,
    live_through,
    rows,
    vector_of,
)
from vector_platform_tests.tiers import examples

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def hostile(pinecone_server: Server) -> Iterator[Hostile]:
    with begun(pinecone_server) as made:
        yield made


def admits(row_id: str, tenant: str) -> bool:
    """Ids of ASCII, as all chunks have them; tenants whose namespace is short enough."""
    try:
        namespace_name(tenant, "g0001")
    except ValueError:
        return False
    return document_id_problem(row_id) is None


@example(EVERY_KNOWN)
@given(rows())
@examples(2)
def test_no_value_reaches_further_than_its_row(hostile: Hostile, drawn: list[Row]) -> None:
    live_through(hostile.index, hostile.generation, drawn, admits=admits)


@pytest.mark.parametrize(
    ("tenant", "says"),
    [
        ("t" * 1024, "needs a namespace of 1030 characters, Pinecone takes 512"),
        ("", "without a name"),
        ("\udcff", "no text of Unicode"),
    ],
)
def test_a_tenant_that_no_row_can_have_is_one_line_and_no_traceback(
    hostile: Hostile, tenant: str, says: str
) -> None:
    index, generation = hostile.index, hostile.generation
    with pytest.raises(IndexRejected, match=says) as caught:
        index.search(generation, vector_of("", ""), k=3, scope=Scope.of(tenant))
    assert "\n" not in str(caught.value)
    assert list(index.keys(generation, tenant)) == []
    assert index.counts(generation, [tenant]) == {tenant: 0}
    assert index.whole_rows(generation, [("a", tenant)]) == {}
    index.delete(generation, [("bystander 0", tenant)])
    index.fence(generation)
    assert index.counts(generation, ["bystander"]) == {"bystander": 4}
