"""Names and aliases that somebody has taken by hand are left alone."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace

import pytest
from pymilvus import MilvusClient

from vector_platform.indexes.backends.milvus.names import collection_alias, collection_name
from vector_platform.indexes.backends.pinecone.names import namespace_name
from vector_platform.indexes.contract import NotOurs
from vector_platform_tests.integration.conftest import Server
from vector_platform_tests.integration.ownership.deployment import (
    SIX,
    Deployment,
)
from vector_platform_tests.lake.building import MODEL

pytestmark = pytest.mark.integration


def test_a_name_that_somebody_has_taken_by_hand_is_left_alone(
    ours: Deployment, server: Server
) -> None:
    taken = replace(ours.newest().identity, name="g0002")
    if server.backend == "milvus":
        with closing(MilvusClient(server.url)) as client:
            client.create_collection(collection_name(taken), dimension=4)
            with pytest.raises(NotOurs, match=r"did not create it.*rename or remove"):
                ours.sync.build(MODEL)
            assert client.has_collection(collection_name(taken))
            client.drop_collection(collection_name(taken))
    else:
        index = ours.target._indexes.own(taken)  # type: ignore[attr-defined]
        namespace = namespace_name("theirs", taken.name)
        index.create_namespace(namespace)
        with pytest.raises(NotOurs, match="this lake has not made it"):
            ours.sync.build(MODEL)
        assert namespace in index.namespaces()
        index.delete_namespace(namespace)
    # Nothing was begun, so nothing has to be tidied up.
    assert [state.generation for state in ours.sync.states.all()] == ["g0001"]
    ours.assert_untouched(SIX)
    assert ours.sync.build(MODEL).generation.generation == "g0002"


@pytest.mark.parametrize("server", ["milvus"], indirect=True)
def test_an_alias_that_is_named_like_the_next_generation_leads_nowhere(
    ours: Deployment, server: Server
) -> None:
    """Milvus takes an alias for its collection: rows of the new one would land in the old one."""
    first = ours.newest().identity
    alias = collection_name(replace(first, name="g0002"))
    with closing(MilvusClient(server.url)) as client:
        client.create_alias(collection_name(first), alias)
        with pytest.raises(NotOurs, match="generation 'g0001' instead of 'g0002'"):
            ours.sync.build(MODEL)
        client.drop_alias(alias)
    ours.assert_untouched(SIX)


@pytest.mark.parametrize("server", ["milvus"], indirect=True)
def test_a_live_alias_on_another_lakes_collection_is_not_moved(
    ours: Deployment, server: Server
) -> None:
    alias = collection_alias(ours.index)
    theirs = replace(ours.newest().identity, index="elsewhere", lake="another")
    ours.target.create(theirs)
    with closing(MilvusClient(server.url)) as client:
        client.create_alias(collection_name(theirs), alias)
        with pytest.raises(NotOurs, match="stands for"):
            ours.target.point(ours.newest().identity)
        assert client.describe_alias(alias)["collection_name"] == collection_name(theirs)
        client.drop_alias(alias)
    ours.target.drop(theirs)
