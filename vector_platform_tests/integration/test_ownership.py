"""Nobody's rows but ours: two lakes and one backend, copies, backups, and things made by hand.

Belongs here: who may write an index, against the embedded servers through whole syncs.
"""

from __future__ import annotations

import itertools
import shutil
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from pinecone import Pinecone
from pymilvus import MilvusClient

from vector_platform.indexes.backends.milvus.names import collection_alias, collection_name
from vector_platform.indexes.backends.pinecone.names import namespace_name
from vector_platform.indexes.backends.pinecone.terms import index_name, stamp_tag
from vector_platform.indexes.base import VectorIndex
from vector_platform.indexes.contract import Claim, Generation, NotOurs
from vector_platform.indexes.ownership.adoption import Adopter, NotAdoptable
from vector_platform.indexes.ownership.claims import Ownership
from vector_platform.indexes.plan import DeleteGuard
from vector_platform.indexes.proof.verify import verify
from vector_platform.indexes.state import GenerationState
from vector_platform.indexes.sync.sync import IndexSync
from vector_platform.lake.lake import Lake
from vector_platform.releases.pointer.live import LivePointer
from vector_platform.serving.search import SearchResult, SearchService
from vector_platform_tests.integration.conftest import API_KEY, Server, open_index
from vector_platform_tests.lake.building import MODEL, chunk, embed, open_lake, put, register

pytestmark = pytest.mark.integration

_names = (f"owned{number}" for number in itertools.count())


class Encoder:
    """Any vector will do."""

    def encode_queries(self, texts: list[str]) -> np.ndarray:
        return np.asarray([[1.0, 0.0, 0.0, 0.0]] * len(texts), np.float32)


class Deployment:
    """A lake in a folder of its own, with locks of its own, and an adapter for the one server."""

    def __init__(self, folder: Path, server: Server, index: str) -> None:
        self.folder = folder
        self.index = index
        self.lake: Lake = open_lake(folder)
        self.target: VectorIndex = open_index(server)

    @property
    def sync(self) -> IndexSync:
        return IndexSync(
            self.lake,
            self.target,
            index=self.index,
            spec="{}",
            max_delete_share=0.5,
            lock_dir=self.folder / "locks",
            run_id="run",
        )

    def put(self, *names: str, delete: tuple[str, ...] = ()) -> None:
        rows = [chunk(name, f"text of {name}", tenant="ab"[len(name) % 2]) for name in names]
        put(self.lake, *rows, delete=[f"{name}#0" for name in delete])
        embed(self.lake)

    def newest(self) -> GenerationState:
        state = self.sync.states.newest(MODEL)
        assert state is not None
        return state

    def holds(self) -> set[str]:
        """Ids of the newest generation, by the backend."""
        return {
            row_id
            for batch in self.target.scan(self.newest().identity)
            for row_id in batch.column("id").to_pylist()
        }

    def assert_untouched(self, rows: set[str]) -> None:
        """It holds these rows, they are right, and its owner can go on."""
        assert self.holds() == {f"{name}#0" for name in rows}
        state = self.newest()
        assert verify(self.lake, self.target, state.identity, self.lake.snapshot()).clean
        self.sync.sync(MODEL)


@pytest.fixture
def ours(server: Server, tmp_path: Path) -> Iterator[Deployment]:
    """A deployment with a proven generation of six rows."""
    made = Deployment(tmp_path / "ours", server, next(_names))
    made.put(*SIX)
    made.sync.sync(MODEL)
    yield made
    for state in made.sync.states.present():
        made.target.drop(state.identity)
    made.target.close()


NOW = datetime(2026, 1, 1, tzinfo=UTC)
SIX = {"s:1", "s:22", "s:3", "s:44", "s:5", "s:66"}


def another(ours: Deployment, server: Server, name: str = "theirs") -> Deployment:
    return Deployment(ours.folder.parent / name, server, ours.index)


def test_an_empty_second_lake_neither_adopts_nor_empties_the_index(
    ours: Deployment, server: Server
) -> None:
    theirs = another(ours, server)
    register(theirs.lake)
    theirs.lake.chunks.ensure()
    theirs.lake.embeddings.ensure()
    for attempt in (theirs.sync.sync, theirs.sync.build):
        with pytest.raises(NotOurs, match=r"belongs to lake [0-9a-f]{8}.*index adopt"):
            attempt(MODEL)
    assert theirs.sync.states.all() == []
    ours.assert_untouched(SIX)


def test_a_second_lake_with_rows_of_its_own_does_not_touch_the_first_ones(
    ours: Deployment, server: Server
) -> None:
    theirs = another(ours, server)
    theirs.put("t:1", "t:22")
    with pytest.raises(NotOurs, match="belongs to lake"):
        theirs.sync.sync(MODEL)
    ours.assert_untouched(SIX)
    # Under another name both live side by side.
    theirs.index = next(_names)
    theirs.sync.sync(MODEL)
    theirs.assert_untouched({"t:1", "t:22"})
    ours.assert_untouched(SIX)
    theirs.target.drop(theirs.newest().identity)


def test_a_second_lake_that_has_begun_the_same_generation_is_refused_by_the_backend(
    ours: Deployment, server: Server
) -> None:
    """The books of the two say the same name; only the mark on the backend tells them apart."""
    theirs = another(ours, server)
    theirs.put("t:1")
    model = theirs.lake.model_version(MODEL)
    now = ours.newest().created_at
    state = theirs.sync.states.begin(model, spec="{}", run_id="run", now=now)
    assert (state.generation, state.lake == ours.newest().lake) == ("g0001", False)
    for attempt in (
        lambda: theirs.sync.sync(MODEL),
        lambda: theirs.sync.repair(state),
        lambda: theirs.sync.drop(state),
        lambda: theirs.target.create(state.identity),
        lambda: theirs.target.exists(state.identity),
        lambda: theirs.target.drop(state.identity),
        lambda: theirs.target.point(state.identity),
    ):
        with pytest.raises(NotOurs, match="belongs to lake"):
            attempt()
    ours.assert_untouched(SIX)


def test_another_lakes_rows_are_not_read_either(ours: Deployment, server: Server) -> None:
    """A name is found before a mark is: the first use of a generation looks at whose it is."""
    target = open_index(server)
    stranger = replace(ours.newest().identity, lake="another")
    probe, rows = np.full(stranger.dimension, 0.5, np.float32), [("s:1#0", "a")]
    reads: dict[str, Callable[[], object]] = {
        "search": lambda: target.search(stranger, probe, k=3),
        "nearest": lambda: target.nearest(stranger, probe[None, :], k=3),
        "tenants": lambda: target.tenants(stranger),
        "count": lambda: target.count(stranger),
        "counts": lambda: target.counts(stranger, ["a"]),
        "scan": lambda: list(target.scan(stranger)),
        "keys": lambda: list(target.keys(stranger, "a")),
        "find": lambda: list(target.find(stranger, rows)),
        "whole_rows": lambda: target.whole_rows(stranger, rows),
        "delete": lambda: target.delete(stranger, rows),
        "fence": lambda: target.fence(stranger),
    }
    try:
        for name, read in reads.items():
            with pytest.raises(NotOurs, match="belongs to lake"):
                read()
                pytest.fail(f"{name} was answered")
    finally:
        target.close()
    ours.assert_untouched(SIX)


def test_of_a_lake_and_its_copy_only_the_first_to_write_goes_on(
    ours: Deployment, server: Server
) -> None:
    shutil.copytree(ours.folder, ours.folder.parent / "copy")
    copy = another(ours, server, "copy")
    ours.put("s:77")
    ours.sync.sync(MODEL)
    copy.put("c:1", delete=("s:1",))
    state = copy.newest()
    for attempt in (
        lambda: copy.sync.sync(MODEL),
        lambda: copy.sync.build(MODEL),
        lambda: copy.sync.repair(state),
        lambda: copy.sync.drop(state),
    ):
        with pytest.raises(NotOurs, match=r"last written towards chunks@.*a copy"):
            attempt()
    ours.assert_untouched(SIX | {"s:77"})


def test_a_copy_that_writes_first_locks_the_other_out_and_not_itself(
    ours: Deployment, server: Server
) -> None:
    shutil.copytree(ours.folder, ours.folder.parent / "copy")
    copy = another(ours, server, "copy")
    copy.put("c:1")
    copy.sync.sync(MODEL)
    ours.put("s:77")
    with pytest.raises(NotOurs, match=r"a copy.*index adopt"):
        ours.sync.sync(MODEL)
    copy.assert_untouched(SIX | {"c:1"})
    # The way back: the first one sees what it would lose, takes it over, and the copy is refused.
    proposals = adopter(ours).proposals(NOW)
    assert [(p.differences, p.proof.plan.orphaned) for p in proposals] == [(1, 1)]
    adopter(ours).adopt(proposals, now=NOW)
    assert ours.sync.sync(MODEL).deleted == 1
    ours.assert_untouched(SIX | {"s:77"})
    with pytest.raises(NotOurs, match=r"a copy.*index adopt"):
        copy.sync.sync(MODEL)


def test_a_generation_that_a_copy_has_built_is_taken_over_with_the_others(
    ours: Deployment, server: Server
) -> None:
    shutil.copytree(ours.folder, ours.folder.parent / "copy")
    copy = another(ours, server, "copy")
    copy.sync.build(MODEL)
    with pytest.raises(NotOurs, match="g0002 is of this lake, but its records do not know it"):
        ours.sync.sync(MODEL)
    proposals = adopter(ours).proposals(NOW)
    assert [(p.claim.generation.name, p.differences) for p in proposals] == [("g0002", 0)]
    adopter(ours).adopt(proposals, now=NOW)
    assert ours.sync.sync(MODEL).generation.generation == "g0002"
    ours.assert_untouched(SIX)
    with pytest.raises(NotOurs, match="a copy"):
        copy.sync.sync(MODEL)


def test_a_lake_from_an_older_backup_does_not_take_the_index_back(
    ours: Deployment, server: Server
) -> None:
    shutil.copytree(ours.folder, ours.folder.parent / "backup")
    ours.put("s:77")
    ours.sync.sync(MODEL)
    restored = another(ours, server, "backup")
    with pytest.raises(NotOurs, match="restored from a backup"):
        restored.sync.repair(restored.newest())
    ours.assert_untouched(SIX | {"s:77"})


def test_a_lake_from_before_the_newest_generation_is_refused(
    ours: Deployment, server: Server
) -> None:
    """What its books know was written by it; what they do not know, was not."""
    shutil.copytree(ours.folder, ours.folder.parent / "backup")
    ours.sync.build(MODEL)
    restored = another(ours, server, "backup")
    restored.put("b:1")
    for attempt in (restored.sync.sync, restored.sync.build):
        with pytest.raises(NotOurs, match="its records do not know it"):
            attempt(MODEL)
    ours.assert_untouched(SIX)


def test_a_mirror_is_not_moved_by_a_lake_whose_history_is_another(
    ours: Deployment, server: Server
) -> None:
    pointer = LivePointer(ours.lake, server.backend, ours.index)
    pointer.promote(ours.newest(), actor="a", reason="b", evidence={}, run_id="run")
    shutil.copytree(ours.folder, ours.folder.parent / "copy")
    copy = another(ours, server, "copy")
    ours.put("s:77")
    ours.sync.sync(MODEL)
    pointer.mirror(ours.target)
    with pytest.raises(NotOurs, match="a copy"):
        LivePointer(copy.lake, server.backend, copy.index).mirror(copy.target)


def test_a_search_in_a_copy_says_that_the_rows_may_be_of_another_history(
    ours: Deployment, server: Server
) -> None:
    LivePointer(ours.lake, server.backend, ours.index).promote(
        ours.newest(), actor="a", reason="b", evidence={}, run_id="run"
    )
    shutil.copytree(ours.folder, ours.folder.parent / "copy")
    copy = another(ours, server, "copy")

    def ask(deployment: Deployment) -> SearchResult:
        service = SearchService(
            deployment.lake,
            deployment.index,
            open_index=lambda _: deployment.target,
            open_encoder=lambda _: Encoder(),
        )
        return service.search("x", backend=server.backend, k=3)

    assert not ask(copy).degraded and ask(copy).hits
    ours.put("s:77")
    ours.sync.sync(MODEL)
    assert ask(copy).degraded and "a copy" in str(ask(copy).doubt)
    assert not ask(ours).degraded


def test_a_session_that_another_process_of_ours_begins_meanwhile_is_no_strangers(
    ours: Deployment, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Generations are written side by side: our records are read after the backend."""
    claims, state = ours.target.claims, ours.newest()
    snapshot = ours.lake.snapshot()

    def begun_meanwhile(index: str) -> list[Claim]:
        with monkeypatch.context() as patch:
            patch.setattr(ours.target, "claims", claims)
            beside = Ownership(ours.sync.states, ours.target)
            beside.open(state, snapshot, run_id="beside", now=NOW)
        return claims(index)

    monkeypatch.setattr(ours.target, "claims", begun_meanwhile)
    Ownership(ours.sync.states, ours.target).require()
    monkeypatch.undo()
    ours.assert_untouched(SIX)


def test_another_writer_in_between_keeps_a_sync_from_being_recorded_as_proven(
    ours: Deployment, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two machines have two locks: the backend is asked once more before the proof counts."""
    ours.put("s:77")
    fence = ours.target.fence

    def interrupted(generation: Generation, **options: bool) -> None:
        fence(generation, **options)
        ours.target.mark(ours.newest().identity, "somebody else")

    monkeypatch.setattr(ours.target, "fence", interrupted)
    with pytest.raises(NotOurs, match="a copy"):
        ours.sync.sync(MODEL)
    assert ours.newest().status == "syncing"


def test_a_generation_that_was_emptied_of_its_books_is_still_guarded(
    ours: Deployment, server: Server
) -> None:
    """What the index holds counts, not what the records say it holds."""
    table = ours.lake.index_state
    rows = table.read().to_pylist()
    table.merge(
        pa.Table.from_pylist(
            [row | {"rows": 0, "status": "syncing"} for row in rows], schema=table.spec.schema
        )
    )
    ours.put("s:1", delete=("s:22", "s:3", "s:44", "s:5"))
    with pytest.raises(DeleteGuard, match=r"would delete 4 of 6 rows.*--allow-delete 4"):
        ours.sync.sync(MODEL)
    assert len(ours.holds()) == 6


def test_a_lake_that_lost_its_chunks_empties_nothing_until_a_person_says_so(
    ours: Deployment, server: Server
) -> None:
    ours.put(delete=tuple(SIX))
    sync = ours.sync
    sync.max_delete_share = 1.0
    with pytest.raises(DeleteGuard, match=r"6 of 6 rows.*the lake is empty"):
        sync.sync(MODEL)
    assert len(ours.holds()) == 6
    assert sync.sync(MODEL, allow_delete=6).deleted == 6


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


def adopter(deployment: Deployment) -> Adopter:
    return Adopter(
        deployment.lake, deployment.target, deployment.sync.states, spec="{}", run_id="adopting"
    )


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
