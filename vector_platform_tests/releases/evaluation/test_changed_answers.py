from __future__ import annotations

from pathlib import Path

import numpy as np

from vector_platform.indexes.contract import Hit
from vector_platform.releases.evaluation.changed_answers import (
    SHOWN,
    changed_answers,
    names_of,
    rows_of,
)
from vector_platform.releases.evaluation.probes import Answer, Probe
from vector_platform_tests.lake.building import open_lake

VECTOR = np.array([1.0], np.float32)


def probe(query_id: str) -> Probe:
    return Probe(query_id, "asked", VECTOR, "t")


def answer(*documents: str) -> Answer:
    hits = (Hit(f"{doc}#0", 0.5, "t", doc, "", "", "", "") for doc in documents)
    return Answer(tuple(hits), 1.0)


def test_a_new_first_answer_is_shown_before_changes_further_down() -> None:
    asked = [probe(name) for name in ("same", "below", "first", "all")]
    before = [answer("a", "b", "c")] * 4
    after = [answer("a", "b", "c"), answer("a", "b", "d"), answer("b", "a", "c"), answer("x")]
    found = changed_answers(asked, before, after)
    assert [one.query_id for one in found] == ["all", "first", "below"]
    assert found[0].before == ("a", "b", "c") and found[0].after == ("x",)


def test_chunks_of_one_document_are_one_answer_and_only_the_best_three_count() -> None:
    before, after = answer("a", "a", "b", "c", "d"), answer("a", "b", "c", "e")
    assert changed_answers([probe("q")], [before], [after]) == ()


def test_at_most_ten_are_shown() -> None:
    asked = [probe(f"q{number}") for number in range(30)]
    found = changed_answers(asked, [answer("a")] * 30, [answer("b")] * 30)
    assert len(found) == SHOWN


def test_what_the_lake_holds_no_longer_is_shown_by_its_id(tmp_path: Path) -> None:
    found = changed_answers([probe("g/q")], [answer("s:gone")], [answer()])
    names = names_of(open_lake(tmp_path), found)
    assert names == {}
    assert rows_of(found, names) == [("g/q", "t", "1. s:gone", "nothing")]
