"""The sync is mutated, and its own proof, of what it touched alone, has to see it."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from vector_platform.indexes.contract import Generation, NotOurs
from vector_platform.indexes.proof import row_sample
from vector_platform.indexes.sync import proving
from vector_platform.indexes.sync.sync import IndexSync
from vector_platform.indexes.sync.writing import DeleteDiverged
from vector_platform_tests.indexes import mutants
from vector_platform_tests.indexes.mutant_index import MutantIndex
from vector_platform_tests.indexes.mutants import DELETES, OTHERS, UPSERTS, Mutation
from vector_platform_tests.indexes.synced_world import World
from vector_platform_tests.lake.building import MODEL, chunk
from vector_platform_tests.syncing import index_sync
from vector_platform_tests.tiers import in_turn

STRANGER = Generation("documents", "g0099", MODEL, 4)
SIZES = {"large": 300, "small": 12, "alone": 1, "b": 60}


class MutantWorld(World):
    """A world whose index is proven once, before anything goes wrong."""

    def __init__(self, folder: Path, *, ids_are_global: bool) -> None:
        super().__init__(folder, ids_are_global=ids_are_global)
        self.mutant = MutantIndex(self.target, STRANGER)
        self.put(
            *(
                chunk(f"{tenant}:{n}", f"{tenant} {n}", tenant=tenant)
                for tenant, rows in SIZES.items()
                for n in range(rows)
            )
        )
        self.sync.sync(MODEL)

    @property
    def sync(self) -> IndexSync:
        return index_sync(self.lake, getattr(self, "mutant", self.target), self.folder)

    def change(self) -> None:
        self.put(
            chunk("large:1", "other text", tenant="large"),
            chunk("large:2", "other text, too", tenant="large", attributes={"year": 2024}),
            chunk("small:3", "small and other", tenant="small"),
            chunk("small:new", "added", tenant="small"),
            delete=("large:4#0", "large:5#0", "small:5#0"),
        )

    def found(self) -> str:
        """How the sync of the change noticed; an error unless the index is right or not proven."""
        try:
            report = self.sync.sync(MODEL)
        except (DeleteDiverged, NotOurs) as error:
            (state,) = self.sync.states.all()
            assert state.status == "syncing"
            # Where a place was made that nobody asked for, the rows are right by now.
            assert bool(state.doubt) == isinstance(error, DeleteDiverged)
            self.target.drop(replace(state.identity, name=STRANGER.name))
            self.sync.sync(MODEL)
            assert self.assert_equal().doubt is None
            self.assert_right()
            return "stopped"
        assert report.verification is not None
        if report.verification.scope == "all":
            self.assert_equal()
            self.assert_right()
            return "proof of all"
        return ""

    def assert_right(self) -> None:
        """Rows whole, all of them, looked at in memory."""
        (state,) = self.sync.states.all()
        rows = self.target.rows(state.identity)
        snapshot = self.lake.snapshot()
        wanted = [
            row for batch in self.lake.index_rows(MODEL, snapshot) for row in batch.to_pylist()
        ]
        assert set(rows) == {(row["tenant"], row["id"]) for row in wanted}
        for row in wanted:
            held = rows[row["tenant"], row["id"]]
            assert held | {"vector": held["vector"].tolist()} == row


@pytest.fixture(
    scope="module",
    params=in_turn("prepared", [False, True]),
    ids=["ids per tenant", "ids are global"],
)
def prepared(request: pytest.FixtureRequest) -> Iterator[MutantWorld]:
    folder = Path(tempfile.mkdtemp())
    yield MutantWorld(folder / "world", ids_are_global=request.param)
    shutil.rmtree(folder)


def fresh(prepared: MutantWorld, folder: Path) -> MutantWorld:
    world = MutantWorld.__new__(MutantWorld)
    World.__init__(world, folder, ids_are_global=prepared.target.ids_are_global)
    shutil.copytree(prepared.folder, folder, dirs_exist_ok=True)
    copied = prepared.copy(folder.with_name(folder.name + "-twin"))
    world.target = copied.target
    world.mutant = MutantIndex(world.target, STRANGER)
    world.change()
    return world


def on(mutation: Mutation) -> list[str]:
    """The calls a mutation may fall upon."""
    if mutation in UPSERTS:
        return ["upsert"]
    return ["delete"] if mutation in DELETES else ["upsert", "delete"]


# The others run with `make test-deep`.
QUICK = {"delete_everything", "write_another_vector", "delete_one_less"}
ALL = [
    pytest.param(
        mutation,
        call,
        id=f"{mutation.__name__} on {call}",
        marks=() if mutation.__name__ in QUICK else pytest.mark.deep,
    )
    for mutation in UPSERTS + DELETES + OTHERS
    for call in on(mutation)
]


@pytest.mark.parametrize(("mutation", "call"), ALL)
def test_the_proof_of_a_change_finds_a_sync_that_does_other_than_asked(
    prepared: MutantWorld, tmp_path: Path, mutation: Mutation, call: str
) -> None:
    world = fresh(prepared, tmp_path / "world")
    world.mutant.arm(mutation, call, seed=1)
    noticed = world.found()
    assert world.mutant.struck
    assert noticed, f"{mutation.__name__} on {call} was not found"


def test_a_sync_that_does_as_asked_is_proven_by_what_it_touched(
    prepared: MutantWorld, tmp_path: Path
) -> None:
    world = fresh(prepared, tmp_path / "world")
    assert world.found() == ""
    world.assert_equal()
    world.assert_right()


@pytest.mark.parametrize("mutation", [mutants.write_another_text, mutants.write_another_vector])
def test_what_the_proof_of_a_change_has_seen_is_not_lost_in_a_large_index(
    prepared: MutantWorld, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mutation: Mutation
) -> None:
    """The proof of everything looks at few of many rows: not at those that gave rise to it."""
    monkeypatch.setattr(row_sample, "SAMPLED_ROWS", 10)
    monkeypatch.setattr(proving, "SAMPLED_ROWS", 0)
    monkeypatch.setattr(proving, "FEWEST_SAMPLED", 0)
    world = fresh(prepared, tmp_path / "world")
    world.mutant.arm(mutation, "upsert", seed=1)
    assert world.found() == "proof of all"
