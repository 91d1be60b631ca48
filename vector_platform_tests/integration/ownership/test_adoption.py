"""Adoption by a named person: of what is older than identities, copied or lost."""

from __future__ import annotations

import shutil
from contextlib import closing

import pyarrow as pa
import pytest
from pinecone import Pinecone
from pymilvus import MilvusClient

from vector_platform.indexes.backends.milvus.names import collection_name
from vector_platform.indexes.backends.pinecone.terms import index_name, stamp_tag
from vector_platform.indexes.contract import NotOurs
from vector_platform.indexes.ownership.adoption import NotAdoptable
from vector_platform.indexes.plan import DeleteGuard
from vector_platform_tests.integration.conftest import API_KEY, Server, open_index
from vector_platform_tests.integration.ownership.deployment import (
    NOW,
    SIX,
    Deployment,
    adopter,
    another,
)
from vector_platform_tests.lake.building import MODEL

pytestmark = pytest.mark.integration


def unmark(ours: Deployment, server: Server) -> None:
    """Make a generation what it was before lakes had an identity: no lake, no stamp."""
    generation = ours.newest().identity
    if server.backend == "milvus":
        with closing(MilvusClient(server.url)) as client:
            name = collection_name(generation)
            client.drop_collection_properties(name, ["lake", "stamp", "generation"])
    else:
        tags = {"lake": "", stamp_tag(generation.name): ""}
        with closing(Pinecone(api_key=API_KEY, host=server.url)) as client:
            client.indexes.configure(index_name(generation), tags=tags)
    table = ours.lake.index_state
    rows = [row | {"stamps": None} for row in table.read().to_pylist()]
    table.merge(pa.Table.from_pylist(rows, schema=table.spec.schema))
    ours.target.close()
    ours.target = open_index(server)


def test_a_generation_from_before_identities_waits_for_a_person_and_then_goes_on(
    ours: Deployment, server: Server
) -> None:
    unmark(ours, server)
    ours.put("s:77")
    with pytest.raises(NotOurs, match="made before lakes had an identity"):
        ours.sync.sync(MODEL)
    [proposal] = adopter(ours).proposals(NOW)
    assert (proposal.differences, proposal.claim.generation.lake) == (0, "")
    adopter(ours).adopt([proposal], now=NOW)
    report = ours.sync.sync(MODEL)
    assert (report.mode, report.upserted, report.deleted) == ("full", 1, 0)
    ours.assert_untouched(SIX | {"s:77"})
    assert adopter(ours).proposals(NOW) == []


def test_a_copy_adopts_only_with_the_differences_accepted_and_locks_the_first_one_out(
    ours: Deployment, server: Server
) -> None:
    shutil.copytree(ours.folder, ours.folder.parent / "copy")
    copy = another(ours, server, "copy")
    ours.put("s:77")
    ours.sync.sync(MODEL)
    proposals = adopter(copy).proposals(NOW)
    assert [(p.differences, p.proof.plan.orphaned) for p in proposals] == [(1, 1)]
    with pytest.raises(NotAdoptable, match="--accept-differences 1"):
        adopter(copy).require_accepted(proposals, 0)
    adopter(copy).require_accepted(proposals, 1)
    adopter(copy).adopt(proposals, now=NOW)
    with pytest.raises(NotOurs, match="a copy"):
        ours.sync.sync(MODEL)
    assert copy.sync.sync(MODEL).deleted == 1
    copy.assert_untouched(SIX)


def test_a_lake_that_was_made_anew_adopts_what_the_lost_one_has_built(
    ours: Deployment, server: Server
) -> None:
    anew = another(ours, server)
    anew.put(*SIX, "s:77")
    [proposal] = adopter(anew).proposals(NOW)
    assert (proposal.differences, proposal.proof.plan.missing) == (1, 1)
    adopter(anew).adopt([proposal], now=NOW)
    report = anew.sync.sync(MODEL)
    assert (report.generation.generation, report.mode, report.upserted) == ("g0001", "full", 1)
    anew.assert_untouched(SIX | {"s:77"})
    with pytest.raises(NotOurs, match="belongs to lake"):
        ours.sync.sync(MODEL)
    anew.sync.drop(anew.newest())


def test_an_adopted_index_is_not_emptied_by_an_empty_lake(ours: Deployment, server: Server) -> None:
    """To take an index over is not to let it be deleted: the guard counts what is there."""
    empty = another(ours, server)
    empty.put("t:1")
    empty.put(delete=("t:1",))
    proposals = adopter(empty).proposals(NOW)
    assert [proposal.differences for proposal in proposals] == [6]
    adopter(empty).adopt(proposals, now=NOW)
    with pytest.raises(DeleteGuard, match=r"6 of 6 rows.*the lake is empty"):
        empty.sync.sync(MODEL)
    assert len(empty.holds()) == 6
    empty.sync.drop(empty.newest())


def test_an_adoption_that_is_cut_off_before_the_backend_knows_is_repeated(
    ours: Deployment, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    unmark(ours, server)

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(ours.target, "mark", killed)
        adopter(ours).adopt(adopter(ours).proposals(NOW), now=NOW)
    with pytest.raises(NotOurs, match="made before"):
        ours.sync.sync(MODEL)
    adopter(ours).adopt(adopter(ours).proposals(NOW), now=NOW)
    ours.assert_untouched(SIX)
