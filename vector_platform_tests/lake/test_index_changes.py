"""What a sync is told between two snapshots: `Lake.index_changes` against a plain comparison."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given
from hypothesis import strategies as st

from vector_platform.lake.contract import digest_of
from vector_platform.lake.lake import Lake
from vector_platform.lake.storage.table_reader import HistoryUnavailable
from vector_platform_tests.lake.building import (
    MODEL,
    chunk,
    chunks,
    open_lake,
    put,
    register,
)
from vector_platform_tests.tiers import examples


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return open_lake(tmp_path)


_row = st.builds(
    chunk,
    st.sampled_from([f"s:{i}" for i in range(5)]),
    st.sampled_from(["x", "y"]),
    tenant=st.sampled_from(["a", "b"]),
    region=st.sampled_from(["eu", "us"]),
)
_commit = st.tuples(
    st.sampled_from(["merge", "merge", "merge", "replace"]),
    st.lists(_row, max_size=4, unique_by=lambda row: row["chunk_id"]),
    st.sets(st.sampled_from([f"s:{i}#0" for i in range(5)]), max_size=2),
)


@examples(5, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(commits=st.lists(_commit, min_size=2, max_size=6), data=st.data())
def test_changes_between_any_two_snapshots_equal_a_naive_comparison(
    tmp_path_factory: pytest.TempPathFactory, commits: list[Any], data: st.DataObject
) -> None:
    lake = open_lake(tmp_path_factory.mktemp("changes"))
    register(lake)
    lake.chunks.ensure()
    state: dict[str, dict[str, Any]] = {}
    states, snapshots = [dict(state)], [lake.snapshot()]
    for kind, rows, gone in commits:
        if kind == "replace":
            lake.chunks.replace(chunks(rows))
            state = {row["chunk_id"]: row for row in rows}
        else:
            gone = gone - {row["chunk_id"] for row in rows}
            put(lake, *rows, delete=sorted(gone))
            state = {key: row for key, row in state.items() if key not in gone}
            state |= {row["chunk_id"]: row for row in rows}
        states.append(dict(state))
        snapshots.append(lake.snapshot())
    start = data.draw(st.integers(0, len(states) - 1))
    end = data.draw(st.integers(start, len(states) - 1))
    now, before = (
        {row["id"]: (row["tenant"], row["digest"]) for row in side.to_pylist()}
        for side in lake.index_changes(MODEL, snapshots[start], snapshots[end])
    )
    old, new = _keys(lake, states[start]), _keys(lake, states[end])
    # What is reported is how things were and are ...
    assert before.items() <= old.items()
    assert now.items() <= new.items()
    # ... and everything that differs is reported, on both sides.
    for row_id in old.keys() | new.keys():
        if old.get(row_id) != new.get(row_id):
            assert before.get(row_id) == old.get(row_id)
            assert now.get(row_id) == new.get(row_id)


def _keys(lake: Lake, state: dict[str, dict[str, Any]]) -> dict[str, tuple[str, str]]:
    fingerprint = lake.model_version(MODEL).fingerprint
    names = ("content_hash", "tenant", "region", "attributes")
    return {
        row_id: (
            row["tenant"],
            digest_of(fingerprint=fingerprint, **{name: row[name] for name in names}),
        )
        for row_id, row in state.items()
    }


def test_changes_are_unavailable_when_the_table_was_made_anew(lake: Lake) -> None:
    put(lake, chunk("s:1"))
    put(lake, chunk("s:2"))
    register(lake)
    before = lake.snapshot()
    shutil.rmtree(Path(lake.uri) / "chunks")
    for i in range(4):
        put(lake, chunk(f"s:{i}"))
    assert lake.snapshot().chunks > before.chunks
    with pytest.raises(HistoryUnavailable, match="recreated"):
        lake.index_changes(MODEL, before, lake.snapshot())


def test_changes_are_unavailable_backwards(lake: Lake) -> None:
    put(lake, chunk("s:1"))
    register(lake)
    before = lake.snapshot()
    put(lake, chunk("s:2"))
    with pytest.raises(HistoryUnavailable):
        lake.index_changes(MODEL, lake.snapshot(), before)


def test_changes_after_a_vacuum_are_whole_or_unavailable(lake: Lake) -> None:
    put(lake, *(chunk(f"s:{i}", "one") for i in range(5)))
    register(lake)
    before = lake.snapshot()
    put(lake, *(chunk(f"s:{i}", "two") for i in range(5)))
    put(lake, *(chunk(f"s:{i}", "three") for i in range(5)), delete=["s:9#0"])
    expected = lake.index_changes(MODEL, before, lake.snapshot())
    assert lake.vacuum(retention_hours=0)["chunks"] > 0
    try:
        found = lake.index_changes(MODEL, before, lake.snapshot())
    except HistoryUnavailable:
        return
    assert [side.sort_by("id") for side in found] == [side.sort_by("id") for side in expected]


@pytest.mark.parametrize("lost", ["_change_data/*.parquet", "_delta_log/*2.json"])
def test_changes_are_unavailable_when_a_part_of_the_history_is_lost(lake: Lake, lost: str) -> None:
    put(lake, *(chunk(f"s:{i}", "one") for i in range(5)))
    register(lake)
    before = lake.snapshot()
    for text in ("two", "three", "four"):
        put(lake, *(chunk(f"s:{i}", text) for i in range(5)))
    until = lake.snapshot()
    files = sorted((Path(lake.uri) / "chunks").glob(lost))
    assert files
    if lost.startswith("_delta_log"):
        from deltalake import DeltaTable

        DeltaTable(lake.chunks.uri).create_checkpoint()
    for file in files:
        file.unlink()
    with pytest.raises(HistoryUnavailable):
        lake.index_changes(MODEL, before, until)
