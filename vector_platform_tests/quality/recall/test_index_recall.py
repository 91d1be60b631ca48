"""Recall of an index against exact search: slices, ties, tenants, and what counts as found."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from vector_platform.indexes.contract import Generation, Hit, Scope
from vector_platform.lake.contract import GOLDEN_QUERIES, hash_text
from vector_platform.lake.lake import Lake
from vector_platform.quality.recall import index_queries
from vector_platform.quality.recall.exact_recall import recall_of
from vector_platform.quality.recall.index_queries import (
    GOLDEN,
    NEW,
    OLD,
    OTHERS,
    IndexQueries,
    golden_index_queries,
    stored_queries,
    together,
)
from vector_platform.quality.recall.index_recall import IndexRecall, examine, judge
from vector_platform_tests.indexes.memory_index import MemoryIndex
from vector_platform_tests.lake.building import (
    MODEL,
    START,
    append_vectors,
    chunk,
    open_lake,
    put,
    register,
    vector_of,
)
from vector_platform_tests.syncing import index_sync

BUILT_AT = START + timedelta(days=1)
DIMENSION = 8
NEVER = datetime(2100, 1, 1, tzinfo=UTC)


def fill(lake: Lake, count: int, *, tenant: str = "acme", day: int = 0, text: str = "text") -> None:
    rows = [
        chunk(f"{tenant}:{day}-{n}", f"{text} {tenant} {day} {n}", tenant=tenant)
        for n in range(count)
    ]
    put(lake, *rows)
    vectors = {row["content_hash"]: vector_of(MODEL, row["text"], DIMENSION) for row in rows}
    append_vectors(lake, MODEL, vectors, run_id=f"{tenant}{day}", day=day)


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    lake = open_lake(tmp_path)
    register(lake, dimension=DIMENSION)
    return lake


class Forgetful(MemoryIndex):
    """An index that does not find some rows, though it holds them."""

    def __init__(self, forgets: Callable[[Hit], bool]) -> None:
        super().__init__()
        self.forgets = forgets

    def search(
        self, generation: Generation, vector: np.ndarray, *, k: int, scope: Scope, **how: Any
    ) -> list[Hit]:
        found = super().search(generation, vector, k=1000, scope=scope, **how)
        return [hit for hit in found if not self.forgets(hit)][:k]


def measured(
    lake: Lake,
    folder: Path,
    target: MemoryIndex,
    *,
    floor: float = 0.9,
    built_at: datetime = BUILT_AT,
) -> IndexRecall:
    sync = index_sync(lake, target, folder)
    state = sync.sync(MODEL).generation
    assert state.snapshot is not None
    queries = stored_queries(lake, MODEL, state.snapshot, built_at=built_at)
    return judge(examine(lake, target, state.identity, state.snapshot, queries), floor=floor)


def test_an_exact_index_has_a_recall_of_one(lake: Lake, tmp_path: Path) -> None:
    fill(lake, 60)
    fill(lake, 40, day=2)
    found = measured(lake, tmp_path, MemoryIndex())
    assert found.recall.mean == 1.0 and found.holds and found.queries == 100
    assert found.recall.low > 0.999, "every row was asked, so nothing is left to chance"
    assert {part.name: part.recall.queries for part in found.slices} == {OLD: 60, NEW: 40}
    assert all(part.recall.mean == 1.0 for part in found.slices)


def test_what_came_since_the_build_is_a_slice_that_the_mix_hides(
    lake: Lake, tmp_path: Path
) -> None:
    fill(lake, 400)
    fill(lake, 45, day=2)
    # Half of what came since is not found, as with centroids that do not know of it.
    target = Forgetful(lambda hit: hit.doc_id.startswith("acme:2-") and hit.doc_id[-1] in "13579")
    found = measured(lake, tmp_path, target)
    slices = {part.name: part for part in found.slices}
    assert found.slices[0].name == NEW
    assert slices[NEW].recall.mean < slices[OLD].recall.mean
    assert found.recall.mean > 0.93
    strict = measured(lake, tmp_path, target, floor=0.99)
    assert not strict.holds and strict.facts()["worst_slice"] == strict.slices[0].name


def test_a_slice_below_the_floor_fails_though_all_others_are_perfect(
    lake: Lake, tmp_path: Path
) -> None:
    for tenant in ("a", "b", "c"):
        fill(lake, 120, tenant=tenant)
    fill(lake, 50, tenant="b", day=2)
    target = Forgetful(lambda hit: hit.tenant == "b" and hit.doc_id[-1] in "02468")
    found = measured(lake, tmp_path, target)
    below = {part.name for part in found.slices if part.below}
    assert "tenant b" in below and f"tenant b {NEW}" in below
    assert not {"tenant a", "tenant c"} & below
    assert not found.holds
    facts = found.facts()
    assert facts["worst_recall_high"] < facts["floor"] == 0.9
    assert facts["slices_below"] == len(below)


def test_a_slice_of_few_queries_is_shown_and_not_judged(lake: Lake, tmp_path: Path) -> None:
    fill(lake, 100)
    fill(lake, 12, day=2)
    target = Forgetful(lambda hit: hit.doc_id.startswith("acme:2-"))
    found = measured(lake, tmp_path, target)
    (new,) = [part for part in found.slices if part.name == NEW]
    assert new.recall.queries == 12 and not new.below


def test_tenants_beyond_the_largest_share_a_slice(
    lake: Lake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(index_queries, "NAMED_TENANTS", 1)
    monkeypatch.setattr(index_queries, "CELL_QUERIES", 20)
    fill(lake, 40, tenant="big")
    for tenant in ("x", "y"):
        fill(lake, 15, tenant=tenant)
    found = measured(lake, tmp_path, MemoryIndex(), built_at=NEVER)
    assert {part.name: part.recall.queries for part in found.slices} == {
        OLD: 40,
        "tenant big": 20,
        f"tenant {OTHERS}": 20,
    }


def test_the_same_lake_gives_the_same_queries(lake: Lake) -> None:
    fill(lake, 300)
    one, two = (stored_queries(lake, MODEL, lake.snapshot(), built_at=BUILT_AT) for _ in range(2))
    assert one.own_ids == two.own_ids and np.array_equal(one.vectors, two.vectors)
    assert len(one.own_ids) == index_queries.CELL_QUERIES
    assert sum(one.weights) == pytest.approx(300)


def test_golden_queries_are_a_slice_of_their_own_and_the_same_ones_every_time(
    lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(index_queries, "GOLDEN_QUERIES", 5)
    fill(lake, 30)
    encoded: list[list[str]] = []

    def encode(texts: list[str]) -> np.ndarray:
        encoded.append(texts)
        return np.stack([vector_of("q", text, DIMENSION) for text in texts])

    def asked_of() -> IndexQueries:
        return index_queries.index_queries(
            lake, MODEL, lake.snapshot(), built_at=BUILT_AT, encode=encode
        )

    assert GOLDEN not in {name for names in asked_of().slices for name in names}
    assert encoded == [], "without golden queries no model is loaded"
    rows = [
        {
            "set_name": "s",
            "query_id": f"{number:02d}",
            "text": f"query {number}",
            "doc_id": "acme:0-0",
            "gain": 1,
            "tenant": "acme",
            "provenance": "test",
        }
        for number in range(20)
    ]
    lake.golden_queries.replace(pa.Table.from_pylist(rows, schema=GOLDEN_QUERIES.schema))
    one, two = asked_of(), asked_of()
    assert one.slices.count((GOLDEN,)) == 5 and np.array_equal(one.vectors, two.vectors)
    assert encoded[0] == encoded[1] and len(encoded[0]) == 5
    by_hash = sorted((hash_text(f"s/{number:02d}"), f"query {number}") for number in range(20))
    assert set(encoded[0]) == {text for _, text in by_hash[:5]}


# -- what counts as found -------------------------------------------------------------------


def asked(lake: Lake, answers: list[str], *, own: str | None = None, k: int = 3) -> float:
    """Recall of one query along the first axis, within the tenant acme."""
    vector = np.eye(DIMENSION, dtype=np.float32)[:1]
    queries = IndexQueries(vector, ("acme",), (own,), (("all",),), (1.0,), ("",))
    (found,) = recall_of(lake, MODEL, lake.snapshot(), queries, [answers], k=k)[:, -1]
    return float(found)


@pytest.fixture
def steps(lake: Lake) -> Lake:
    """Rows a to d ever farther from the first axis; twin has the text of a; zoo is apart."""
    rows = [chunk(name, f"text {name}") for name in "abcd"]
    rows += [chunk("twin", "text a"), chunk("zoo", "text zoo", tenant="zoo")]
    put(lake, *rows)
    vectors = {}
    for angle, name in enumerate("abcd"):
        vector = np.zeros(DIMENSION, np.float32)
        vector[:2] = np.cos(0.1 * angle), np.sin(0.1 * angle)
        vectors[hash_text(f"text {name}")] = vector
    vectors[hash_text("text zoo")] = np.eye(DIMENSION, dtype=np.float32)[0]
    append_vectors(lake, MODEL, vectors)
    return lake


def test_rows_of_equal_text_are_equally_right(steps: Lake) -> None:
    assert asked(steps, ["a#0", "b#0"], k=2) == 0.5
    assert asked(steps, ["a#0", "twin#0"], k=2) == 1.0
    assert asked(steps, ["twin#0"], k=1) == asked(steps, ["a#0"], k=1) == 1.0


def test_a_row_of_another_tenant_or_of_no_lake_is_missed(steps: Lake) -> None:
    assert asked(steps, ["a#0", "zoo#0", "ghost#0"]) == pytest.approx(1 / 3)


def test_the_query_s_own_row_is_no_answer(steps: Lake) -> None:
    assert asked(steps, ["twin#0", "b#0", "c#0"], own="a#0") == 1.0
    assert asked(steps, ["a#0", "b#0", "c#0"], own="a#0") == pytest.approx(2 / 3)


def test_fewer_rows_than_k_are_all_that_is_asked_for(steps: Lake) -> None:
    assert asked(steps, ["a#0", "b#0", "c#0", "d#0", "twin#0"], k=9) == 1.0
    assert asked(steps, ["a#0"], k=9) == pytest.approx(1 / 5)


def test_blocks_and_batches_do_not_change_the_result(
    lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(lake, 150)
    fill(lake, 60, tenant="zoo")
    snapshot = lake.snapshot()
    queries = stored_queries(lake, MODEL, snapshot, built_at=BUILT_AT)
    golden = golden_index_queries(
        np.stack([vector_of("q", str(n), DIMENSION) for n in range(7)]),
        [None] * 6 + ["nobody"],
        [f"query {n}" for n in range(7)],
    )
    queries = together(queries, golden)
    rng = np.random.default_rng(0)
    everything = lake.chunks.read()["chunk_id"].to_pylist()
    answers = [list(rng.choice(everything, 10, replace=False)) for _ in queries.tenants]
    whole = recall_of(lake, MODEL, snapshot, queries, answers, k=10)
    monkeypatch.setattr("vector_platform.quality.recall.exact_recall.QUERY_BLOCK", 13)
    monkeypatch.setattr("vector_platform.quality.recall.exact_recall.ROWS", 37)
    parts = recall_of(lake, MODEL, snapshot, queries, answers, k=10)
    assert np.array_equal(whole, parts, equal_nan=True)
    assert np.isnan(whole[-1]).all() and not np.isnan(whole[:-1]).any()
    assert whole[:-1].min() == 0
