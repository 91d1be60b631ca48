"""Passages joined into a context: pure functions."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vector_platform.indexes.contract import Hit
from vector_platform.serving.context import joined, written


def hit(doc: str, ordinal: int, text: str, *, tenant: str = "acme", score: float = 0.5) -> Hit:
    return Hit(f"{doc}#{ordinal}", score, tenant, doc, f"Title of {doc}", text, "", "")


def words(text: str) -> int:
    return len(text.split())


def test_documents_come_by_their_best_hit_and_passages_by_their_place() -> None:
    hits = [
        hit("s:b", 2, "b two", score=0.9),
        hit("s:a", 0, "a zero", score=0.8),
        hit("s:b", 0, "b zero", score=0.7),
        hit("s:b", 1, "b one", score=0.6),
    ]
    text, citations, left_out = written(hits, budget=100, count_tokens=words)
    assert text == "[1] Title of s:b\nb zero\nb one\nb two\n\n[2] Title of s:a\na zero"
    assert [(one.number, one.doc_id, one.score) for one in citations] == [
        (1, "s:b", 0.9),
        (2, "s:a", 0.8),
    ]
    assert citations[0].chunks == ("s:b#0", "s:b#1", "s:b#2")
    assert left_out == 0


def test_passages_that_are_not_neighbours_show_the_gap() -> None:
    text, _, _ = written([hit("s:a", 0, "x"), hit("s:a", 2, "y")], budget=99, count_tokens=words)
    assert text == "[1] Title of s:a\nx\n[...]\ny"


@pytest.mark.parametrize(
    ("before", "after", "whole"),
    [
        ("one two three four", "two three four five", "one two three four five"),
        ("the cat", "cat sat", "the cat\ncat sat"),  # three characters are chance
        ("a", "b", "a\nb"),
        ("the same text", "the same text", "the same text"),
    ],
)
def test_what_neighbours_share_is_written_once(before: str, after: str, whole: str) -> None:
    assert joined(before, after) == whole


HITS = st.lists(
    st.builds(
        hit,
        st.sampled_from(["s:a", "s:b", "s:c"]),
        st.integers(0, 5),
        st.text("ab \n", min_size=1, max_size=40),
        tenant=st.sampled_from(["acme", "zeta"]),
        score=st.floats(-1, 1),
    ),
    max_size=8,
    unique_by=lambda one: (one.id, one.tenant),
)


@given(HITS, st.integers(1, 60))
def test_a_context_keeps_its_budget_and_cites_exactly_what_is_in_it(
    hits: list[Hit], budget: int
) -> None:
    text, citations, left_out = written(hits, budget=budget, count_tokens=words)
    assert words(text) <= budget
    assert [one.number for one in citations] == list(range(1, len(citations) + 1))
    cited = [(one.tenant, chunk) for one in citations for chunk in one.chunks]
    assert len(cited) == len(set(cited)) == len(hits) - left_out
    assert set(cited) <= {(one.tenant, one.id) for one in hits}
    assert all(f"[{one.number}] {one.title}" in text for one in citations)
