"""Delayed visibility: each kind of reader sees exactly the writes whose time has come."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from vector_platform.local.pinecone_server.data.filters import parse_filter
from vector_platform.local.pinecone_server.data.memory.views import View
from vector_platform.local.pinecone_server.data.records import Record
from vector_platform.local.pinecone_server.data.search import Reader
from vector_platform.local.pinecone_server.data.store import IndexStore, ReadKind
from vector_platform_tests.tiers import examples

names = st.sampled_from(["a", "b", "c", "d"])
writes = st.lists(
    st.tuples(
        st.dictionaries(names, st.one_of(st.none(), st.integers(1, 5)), min_size=1),
        st.integers(0, 3),
        st.integers(0, 2),
    ),
    max_size=8,
)


def record(name: str, n: int) -> Record:
    return Record(name, {"n": float(n)}, np.array([n, 6 - n], np.float32))


@given(writes=writes)
def test_a_view_shows_a_prefix_of_the_writes_and_never_more(
    writes: list[tuple[dict[str, int | None], int, int]],
) -> None:
    view, truth, history = View(0), dict[str, Record](), [dict[str, Record]()]
    visible_at: list[float] = []
    now = 0.0
    for lsn, (changes, delay, pause) in enumerate(writes, start=1):
        before = {name: truth.get(name) for name in changes}
        for name, n in changes.items():
            truth.pop(name, None)
            if n is not None:
                truth[name] = record(name, n)
        history.append(dict(truth))
        view.wrote(lsn, before, now + delay, now)
        visible_at.append(max([now + delay, *visible_at[-1:]]))
        now += pause
        view.settle(now)
        shown = {**truth, **view.hidden}
        due = sum(1 for moment in visible_at if moment <= now)
        assert view.lsn == due
        assert {k: v for k, v in shown.items() if v is not None} == history[due]


@examples(6)
@given(writes=writes, seen=st.integers(0, 8))
def test_search_fetch_list_and_filter_all_show_the_same_delayed_state(
    writes: list[tuple[dict[str, int | None], int, int]], seen: int, tmp_path_factory: object
) -> None:
    folder = tmp_path_factory.mktemp("store")  # type: ignore[attr-defined]
    assert isinstance(folder, Path)
    position = itertools.count()

    def delay(kind: ReadKind) -> float:
        # The first `seen` writes are visible at once, the rest an hour later.
        return 0.0 if next(position) // 2 < seen else 3600.0

    store = IndexStore(folder / "s", dimension=2, metric="dotproduct", delay=delay)
    state: dict[str, int] = {}
    with store.session():
        for i, (changes, _, _) in enumerate(writes):
            records = {k: None if n is None else record(k, n) for k, n in changes.items()}
            store.write("t", records)
            if i < seen:
                state |= {name: n for name, n in changes.items() if n is not None}
                state = {name: n for name, n in state.items() if changes.get(name, 0) is not None}
        for kind in ("fetch", "search"):
            reader = Reader.open(store, "t", "fetch" if kind == "fetch" else "search")
            if reader is None:
                assert not writes
                continue
            assert reader.lsn == min(seen, len(writes))
            assert reader.page_of_ids("", "", 10) == sorted(state)
            assert reader.page_of_ids("b", "", 10) == [n for n in sorted(state) if n == "b"]
            hits = reader.dense_hits(np.array([1, 0], np.float32), 10, None)
            assert {hit.id: hit.score for hit in hits} == state
            condition = parse_filter({"n": {"$gte": 3}})
            large = {name for name, n in state.items() if n >= 3}
            assert set(reader.matching_ids(condition)) == large
            assert {h.id for h in reader.dense_hits(np.ones(2, np.float32), 9, condition)} == large
            for name in "abcd":
                found = reader.record(name)
                assert (found.fields["n"] if found else None) == state.get(name)
        if writes:
            assert store.count("t") == len(state)
    store.close()
