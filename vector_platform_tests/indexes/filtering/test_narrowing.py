"""A search that a backend can narrow only in part, or not at all."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from vector_platform.indexes.contract import BoundedHits, Hit
from vector_platform.indexes.filtering.conditions import OneOf
from vector_platform.indexes.filtering.narrowing import narrowed

WHERE = OneOf("kind", ("wanted",))


def hit(place: int, wanted: bool) -> Hit:
    kind = "wanted" if wanted else "other"
    fixed: dict[str, Any] = dict.fromkeys(
        ("tenant", "doc_id", "title", "text", "region", "digest"), ""
    )
    return Hit(id=f"{place:04}", score=-place, attributes={"kind": kind}, **fixed)


@given(st.lists(st.booleans(), max_size=60), st.integers(1, 8), st.integers(1, 64))
def test_the_best_that_meet_the_condition_are_found_or_the_answer_says_how_far_it_looked(
    rows: list[bool], k: int, most: int
) -> None:
    hits = [hit(place, wanted) for place, wanted in enumerate(rows)]
    asked: list[int] = []

    def search(limit: int) -> list[Hit]:
        asked.append(limit)
        assert limit <= most
        return hits[:limit]

    found = narrowed(search, WHERE, k=k, most=most)
    right = [one for one in hits if one.attributes["kind"] == "wanted"][:k]
    if isinstance(found, BoundedHits):
        assert found.looked_at == most <= len(hits)
        assert found == [one for one in right if int(one.id) < most]
        assert len(found) < k
    else:
        assert found == right
    assert asked == sorted(set(asked))


def test_a_search_without_a_condition_asks_once_and_looks_at_nothing() -> None:
    hits = [hit(place, wanted=False) for place in range(3)]
    assert narrowed(lambda k: hits[:k], None, k=2, most=10) == hits[:2]
