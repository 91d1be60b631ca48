"""Hostile ids, tenants and attributes on Pinecone: stored as they are, or refused by name."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, example, given, settings

from vector_platform.indexes.backends.pinecone.names import document_id_problem, namespace_name
from vector_platform.indexes.base import VectorIndex
from vector_platform.indexes.contract import Generation, IndexRejected
from vector_platform_tests.integration.conftest import Server, open_index
from vector_platform_tests.integration.hostile_values import (
    DIMENSION,
    EVERY_KNOWN,
    Row,
    begin,
    live_through,
    rows,
    vector_of,
)

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def index(pinecone_server: Server) -> Iterator[VectorIndex]:
    opened = open_index(pinecone_server)
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def generation(index: VectorIndex) -> Iterator[Generation]:
    made = Generation("hostile", "g0001", "tiny-1.0", DIMENSION)
    begin(index, made)
    yield made
    index.drop(made)


def admits(row_id: str, tenant: str) -> bool:
    """Ids of ASCII, as all chunks have them; tenants whose namespace is short enough."""
    try:
        namespace_name(tenant, "g0001")
    except ValueError:
        return False
    return document_id_problem(row_id) is None


@example(EVERY_KNOWN)
@given(rows())
@settings(max_examples=4, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_value_reaches_further_than_its_row(
    index: VectorIndex, generation: Generation, drawn: list[Row]
) -> None:
    live_through(index, generation, drawn, admits=admits)


@pytest.mark.deep
@given(rows(max_size=40))
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_value_of_thousands_reaches_further_than_its_row(
    index: VectorIndex, generation: Generation, drawn: list[Row]
) -> None:
    live_through(index, generation, drawn, admits=admits)


@pytest.mark.parametrize(
    ("tenant", "says"),
    [
        ("t" * 1024, "needs a namespace of 1030 characters, Pinecone takes 512"),
        ("", "without a name"),
        ("\udcff", "no text of Unicode"),
    ],
)
def test_a_tenant_that_no_row_can_have_is_one_line_and_no_traceback(
    index: VectorIndex, generation: Generation, tenant: str, says: str
) -> None:
    with pytest.raises(IndexRejected, match=says) as caught:
        index.search(generation, vector_of("", ""), k=3, tenant=tenant)
    assert "\n" not in str(caught.value)
    assert list(index.keys(generation, tenant)) == []
    assert index.counts(generation, [tenant]) == {tenant: 0}
    assert index.whole_rows(generation, [("a", tenant)]) == {}
    index.delete(generation, [("bystander 0", tenant)])
    index.fence(generation)
    assert index.counts(generation, ["bystander"]) == {"bystander": 4}
