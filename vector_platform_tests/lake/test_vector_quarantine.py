"""The move of a run's vectors out of the lake, whole, repeated, and cut off anywhere."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from vector_platform.lake.lake import Lake
from vector_platform.lake.snapshots import SnapshotIncomplete
from vector_platform.lake.storage.tables import Table
from vector_platform.lake.vector_quarantine import quarantine_runs
from vector_platform_tests.lake.building import MODEL, chunk, embed, open_lake, put, rows_of

NOW = datetime(2026, 1, 2, tzinfo=UTC)
QUOTED = "run 'of' b"


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    """Two contents of a good run, two of another one, of two models; one content is shared."""
    lake = open_lake(tmp_path)
    put(lake, chunk("s:1", "one"), chunk("s:2", "two"))
    embed(lake, run_id="a")
    put(lake, chunk("s:3", "three"), chunk("s:4", "four"), chunk("s:5", "four", tenant="zoo"))
    embed(lake, run_id=QUOTED)
    embed(lake, "other.v1", run_id=QUOTED)
    return lake


def move(lake: Lake) -> int:
    return quarantine_runs(lake, MODEL, [QUOTED], run_id="q", now=NOW)


def hashes(table: Table, model: str = MODEL) -> set[str]:
    return set(table.read(where=[("model_version", "==", model)])["content_hash"].to_pylist())


def test_a_moved_run_is_kept_aside_and_no_longer_in_any_new_snapshot(lake: Lake) -> None:
    before = lake.snapshot()
    everything = hashes(lake.embeddings)
    vectors = {
        row["content_hash"]: row["vector"]
        for row in lake.embeddings.read(where=[("run_id", "==", QUOTED)]).to_pylist()
        if row["model_version"] == MODEL
    }
    assert move(lake) == 2
    stored = lake.quarantined_vectors.read().to_pylist()
    assert {row["content_hash"]: row["vector"] for row in stored} == vectors
    assert hashes(lake.embeddings) == everything - set(vectors)
    assert len(hashes(lake.embeddings, "other.v1")) == 4
    assert lake.count_missing(MODEL, lake.snapshot()) == 2
    with pytest.raises(SnapshotIncomplete, match="2 content"):
        rows_of(lake.index_rows(MODEL, lake.snapshot()))
    assert len(rows_of(lake.index_rows(MODEL, before))) == 5


def test_moving_again_moves_nothing(lake: Lake) -> None:
    move(lake)
    versions = [table.version() for table in lake.tables()]
    assert move(lake) == 0
    assert [table.version() for table in lake.tables()] == versions


def test_rows_are_distrusted_until_a_snapshot_without_the_moved_vectors(lake: Lake) -> None:
    held = lake.snapshot()
    assert lake.distrusted_rows(MODEL, held, since=held).num_rows == 0
    move(lake)
    ids = ["s:3#0", "s:4#0", "s:5#0"]
    for since in (held, None):
        found = lake.distrusted_rows(MODEL, lake.snapshot(), since=since)
        assert sorted(found["id"].to_pylist()) == ids
    embed(lake, run_id="c")
    now = lake.snapshot()
    assert lake.distrusted_rows(MODEL, now, since=held).num_rows == 3
    assert lake.distrusted_rows(MODEL, now, since=now).num_rows == 0
    assert lake.distrusted_rows("other.v1", now, since=held).num_rows == 0


@pytest.mark.parametrize("killed", ["merge", "remove", "amend"])
@pytest.mark.parametrize("applied", [False, True], ids=["before", "after"])
def test_a_move_cut_off_anywhere_is_finished_by_the_next(
    lake: Lake, monkeypatch: pytest.MonkeyPatch, killed: str, applied: bool
) -> None:
    class Killed(BaseException):
        pass

    real = getattr(Table, killed)

    def fail(self: Table, *arguments: object, **options: object) -> None:
        if applied:
            real(self, *arguments, **options)
        raise Killed

    held = lake.snapshot()
    with monkeypatch.context() as patch:
        patch.setattr(Table, killed, fail)
        with pytest.raises(Killed):
            move(lake)
    cut_off = lake.snapshot()
    if cut_off.embeddings != held.embeddings and not (killed == "amend" and applied):
        # Whatever an index has read meanwhile is not trusted.
        assert lake.distrusted_rows(MODEL, cut_off, since=cut_off).num_rows == 3
    move(lake)
    stored = lake.quarantined_vectors.read().to_pylist()
    assert len(stored) == 2
    assert all(row["removed_version"] > held.embeddings for row in stored)
    assert lake.count_missing(MODEL, lake.snapshot()) == 2
    assert lake.distrusted_rows(MODEL, lake.snapshot(), since=held).num_rows == 3
