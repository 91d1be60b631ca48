"""The curve over k, the reading of the slices, and the neighbours that are lost."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest

from vector_platform.lake.lake import Lake
from vector_platform.quality.recall.details import lost_neighbours, reading, recall_curve
from vector_platform.quality.recall.exact_recall import recall_of
from vector_platform.quality.recall.index_queries import GOLDEN, NEW, OLD, IndexQueries
from vector_platform.quality.recall.index_recall import Answers, IndexRecall, SliceRecall
from vector_platform.quality.recall.intervals import Recall
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

DIMENSION = 8
ROWS = 40
K = 5
BUILT_AT = START + timedelta(days=1)


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    """Forty rows of two tenants, every other one embedded after the build."""
    lake = open_lake(tmp_path)
    register(lake, dimension=DIMENSION)
    rows = [
        chunk(f"r:{n:02}", f"text {n}", tenant="zoo" if n % 4 == 3 else "acme") for n in range(ROWS)
    ]
    put(lake, *rows)
    for day in (0, 2):
        append_vectors(
            lake,
            MODEL,
            {
                row["content_hash"]: vector_of(MODEL, row["text"], DIMENSION)
                for n, row in enumerate(rows)
                if (n % 2 == 1) == (day == 2)
            },
            run_id=f"day {day}",
            day=day,
        )
    return lake


def exact(query: int) -> list[str]:
    """The neighbours of a row of acme, by brute force."""
    vector = vector_of(MODEL, f"text {query}", DIMENSION)
    others = [n for n in range(ROWS) if n % 4 != 3 and n != query]
    ranked = sorted(others, key=lambda n: -float(vector_of(MODEL, f"text {n}", DIMENSION) @ vector))
    return [f"r:{n:02}#0" for n in ranked[:K]]


def asked(lake: Lake, ids: dict[int, list[str]]) -> Answers:
    """What an index answers when rows of acme are asked for their neighbours."""
    count = len(ids)
    queries = IndexQueries(
        np.stack([vector_of(MODEL, f"text {n}", DIMENSION) for n in ids]),
        ("acme",) * count,
        tuple(f"r:{n:02}#0" for n in ids),
        tuple((NEW if n % 2 else OLD,) for n in ids),
        (1.0,) * count,
        ("",) * count,
    )
    found = list(ids.values())
    recalls = recall_of(lake, MODEL, lake.snapshot(), queries, found, k=K)
    return Answers(queries, found, recalls, np.array([]))


def lost(lake: Lake, answers: Answers, slice_name: str) -> list[tuple[str | None, int, str, str]]:
    found = lost_neighbours(lake, MODEL, lake.snapshot(), answers, slice_name, built_at=BUILT_AT)
    return [(each.query_id, each.rank, each.id, each.age) for each in found]


def test_the_curve_counts_at_every_k_what_is_found_among_as_many(lake: Lake) -> None:
    first, second, _, fourth, fifth = exact(0)
    far = next(f"r:{n:02}#0" for n in range(2, ROWS, 4) if f"r:{n:02}#0" not in exact(0))
    answers = asked(lake, {0: [second, first, far, fifth, fourth]})
    expected = [0.0, 1.0, 2 / 3, 2 / 4, 4 / 5]
    assert answers.recalls[0].tolist() == pytest.approx(expected)
    assert [at.mean for at in recall_curve(answers)] == pytest.approx(expected)
    assert [at.mean for at in recall_curve(answers, OLD)] == pytest.approx(expected)
    assert recall_curve(answers, NEW) == []


def test_lost_neighbours_are_those_of_exact_search_that_were_not_returned(lake: Lake) -> None:
    near = exact(0)
    answers = asked(lake, {0: [near[1], near[3]], 2: exact(2), 5: []})
    found = lost(lake, answers, OLD)
    assert [row[:3] for row in found] == [("r:00#0", rank, near[rank - 1]) for rank in (1, 3, 5)]
    for _, _, row_id, age in found:
        assert age == (NEW if int(row_id[2:4]) % 2 else OLD)


def test_the_queries_that_lose_most_come_first_with_their_texts(lake: Lake) -> None:
    answers = asked(lake, {n: exact(n)[: n // 2] for n in (8, 0, 2, 4, 6)})
    snapshot = lake.snapshot()
    found = lost_neighbours(lake, MODEL, snapshot, answers, OLD, built_at=BUILT_AT)
    assert list(dict.fromkeys(each.query for each in found)) == ["text 0", "text 2", "text 4"]
    assert [each.recall for each in found if each.query == "text 2"] == [0.2] * 3
    for each in found:
        assert each.text == f"text {int(each.id[2:4])}" and each.tenant == "acme"
        vectors = (vector_of(MODEL, text, DIMENSION) for text in (each.query, each.text))
        assert each.score == pytest.approx(float(np.dot(*vectors)), abs=1e-6)


def part(name: str, mean: float, *, below: bool = False) -> SliceRecall:
    return SliceRecall(name, Recall(mean, mean, mean, 50, 50.0), below)


def read(*slices: SliceRecall) -> str:
    return reading(IndexRecall(slices[0].recall, slices, 0.9, 100, 1.0))


def test_an_index_is_stale_when_only_what_is_new_is_lost() -> None:
    said = read(part(f"tenant a {NEW}", 0.5, below=True), part(NEW, 0.93), part(OLD, 0.99))
    assert f"tenant a {NEW} (0.500)" in said
    assert "Stale" in said and "rows of the build: 0.990" in said


def test_an_index_is_too_coarse_when_what_is_old_is_lost_too() -> None:
    said = read(part(NEW, 0.5, below=True), part(OLD, 0.7, below=True))
    assert "too coarse" in said and "Stale" not in said


def test_golden_queries_and_tenants_are_told_apart() -> None:
    assert "what people ask for" in read(part(GOLDEN, 0.6, below=True), part(OLD, 0.99))
    assert "Of some tenants" in read(part("tenant a", 0.6, below=True), part(OLD, 0.99))
    assert read(part(OLD, 0.99)).startswith("No slice")
