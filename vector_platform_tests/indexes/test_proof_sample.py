from __future__ import annotations

import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vector_platform.indexes.plan import Plan, compare
from vector_platform.indexes.proof_sample import EVERY_DIGEST, ProofSample
from vector_platform.indexes.sync.sync import IndexSync
from vector_platform_tests.indexes.synced_world import World
from vector_platform_tests.indexes.test_plan import Keys, batches, indexes, lakes
from vector_platform_tests.lake.building import MODEL, chunk
from vector_platform_tests.syncing import index_sync
from vector_platform_tests.tiers import examples

SHARE = 0.25

shares = st.floats(min_value=0.01, max_value=1)
ids = st.sets(st.text(max_size=8), max_size=30)
quick = examples(8)
# Every comparison is a database of its own.
few = examples(3)


def seen_by(sample: ProofSample, desired: Keys, actual: Keys) -> Plan:
    """What a proof with this sample finds: the digests of all other rows are unknown."""
    read = [(key, digest if sample.has(key[1]) else None) for key, digest in actual.items()]
    return compare(batches(desired), batches(read))  # type: ignore[arg-type]


@quick
@given(ids=ids, share=shares, start=st.integers(0, 10**6))
def test_as_many_proofs_in_a_row_as_the_share_asks_for_read_every_digest(
    ids: set[str], share: float, start: int
) -> None:
    turns = ProofSample(share).turns
    assert turns == math.ceil(1 / share)
    read = {
        row_id
        for turn in range(start, start + turns)
        for row_id in ids
        if ProofSample(share, turn).has(row_id)
    }
    assert read == ids


@quick
@given(ids=ids, share=shares, turn=st.integers(0, 100))
def test_a_turn_reads_the_same_rows_whenever_it_is_repeated(
    ids: set[str], share: float, turn: int
) -> None:
    first, again = ProofSample(share, turn), ProofSample(share, turn)
    assert [first.has(i) for i in sorted(ids)] == [again.has(i) for i in sorted(ids)]


def test_a_share_is_about_that_many_of_the_ids() -> None:
    ids = [f"s:{number}#0" for number in range(20_000)]
    for turn in (0, 3, 19):
        read = sum(ProofSample(0.05, turn).has(row_id) for row_id in ids)
        assert read == pytest.approx(1000, rel=0.1)


def test_a_share_of_nothing_and_of_everything() -> None:
    assert (ProofSample(0).has("anything"), ProofSample(0).turns) == (False, None)
    assert (EVERY_DIGEST.has("anything"), EVERY_DIGEST.turns) == (True, 1)


@few
@given(desired=lakes, actual=indexes, share=st.floats(0, 1), turn=st.integers(0, 50))
def test_a_share_finds_every_row_too_few_or_too_many_and_never_a_false_difference(
    desired: Keys, actual: Keys, share: float, turn: int
) -> None:
    sample = ProofSample(share, turn)
    whole, part = seen_by(EVERY_DIGEST, desired, actual), seen_by(sample, desired, actual)
    assert part.deletes == whole.deletes
    for found in ("missing", "orphaned", "moved", "duplicated", "desired", "actual"):
        assert getattr(part, found) == getattr(whole, found), found
    assert {tuple(row.values()) for row in part.upserts.to_pylist()} <= {
        tuple(row.values()) for row in whole.upserts.to_pylist()
    }
    read = [key for key in actual if sample.has(key[1])]
    assert part.digests_read == len(read)
    assert part.stale == sum(key in desired and desired[key] != actual[key] for key in read)


@few
@given(desired=lakes, actual=indexes, share=st.floats(0.3, 1), start=st.integers(0, 50))
def test_a_round_of_shares_finds_what_one_whole_proof_finds(
    desired: Keys, actual: Keys, share: float, start: int
) -> None:
    turns = ProofSample(share).turns
    assert turns is not None
    found = [
        tuple(row.values())
        for turn in range(start, start + turns)
        for row in seen_by(ProofSample(share, turn), desired, actual).upserts.to_pylist()
    ]
    whole = seen_by(EVERY_DIGEST, desired, actual).upserts.to_pylist()
    assert set(found) == {tuple(row.values()) for row in whole}


# -- through a sync ---------------------------------------------------------------------------


class Sharing(World):
    """A world whose index charges for reading digests."""

    @property
    def sync(self) -> IndexSync:
        return index_sync(self.lake, self.target, self.folder, verify_fetch_share=SHARE)


@pytest.fixture
def world(tmp_path: Path) -> Sharing:
    world = Sharing(tmp_path)
    world.put(*(chunk(f"s:{n}", f"text {n}", tenant="ab"[n % 2]) for n in range(60)))
    world.sync.sync(MODEL)
    return world


def forge(world: World, row_id: str) -> None:
    """A row claims to be made from something else, behind the platform's back."""
    state = world.assert_equal()
    for (_, name), row in world.target.rows(state.identity).items():
        if name == row_id:
            row["digest"] = "forged"
    world.target.damaged(state.identity)


def test_verifies_in_a_row_read_every_digest_and_say_how_many(world: Sharing) -> None:
    state = world.assert_equal()
    proofs = [world.sync.verify(state) for _ in range(4)]
    assert all(proof.clean for proof in proofs)
    assert sum(proof.plan.digests_read for proof in proofs) == 60
    read = proofs[0].plan.digests_read
    assert 0 < read < 60
    assert f"{read} of 60 digests read" in proofs[0].describe()
    assert proofs[0].facts()["digests_read"] == read


def test_a_stale_row_is_counted_when_the_turn_of_its_digest_comes(world: Sharing) -> None:
    state = world.assert_equal()
    forge(world, "s:7#0")
    proofs = [world.sync.verify(state) for _ in range(4)]
    assert sorted(proof.plan.stale for proof in proofs) == [0, 0, 0, 1]
    # So few rows are read whole each time.
    assert not any(proof.clean for proof in proofs)


def test_a_missing_row_is_found_by_every_verify(world: Sharing) -> None:
    state = world.assert_equal()
    rows = world.target.rows(state.identity)
    del rows[next(key for key in rows if key[1] == "s:9#0")]
    world.target.damaged(state.identity)
    assert [world.sync.verify(state).plan.missing for _ in range(3)] == [1, 1, 1]


def test_a_repair_reads_every_digest(world: Sharing) -> None:
    forge(world, "s:7#0")
    forge(world, "s:8#0")
    state = world.sync.states.newest(MODEL)
    assert state is not None
    report = world.sync.repair(state)
    assert report.upserted == 2
    assert report.verification is not None
    assert report.verification.plan.digests_read == 60
    world.assert_equal()


def test_what_a_sync_writes_is_read_back_whatever_the_share(world: Sharing) -> None:
    changed = [chunk(f"s:{n}", f"newer {n}", tenant="ab"[n % 2]) for n in range(20)]
    world.put(*changed)
    report = world.sync.sync(MODEL)
    proof = report.verification
    assert (report.mode, report.upserted) == ("changes", 20)
    assert proof is not None
    assert proof.scope == "changes" and proof.plan.actual == 20 + proof.others
    assert proof.plan.digests_read == proof.plan.actual


def test_a_proof_of_everything_writes_nothing_to_the_lake(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.put(chunk("s:1"))
    world.sync.sync(MODEL)
    versions = world.versions()
    world.sync.verify(world.assert_equal())
    assert world.versions() == versions
