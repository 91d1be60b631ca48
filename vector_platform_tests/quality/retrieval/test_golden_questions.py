from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest

from vector_platform.lake.contract import CHUNKS, GOLDEN_QUERIES
from vector_platform.lake.lake import Lake
from vector_platform.quality.retrieval.golden_questions import GoldenQuestions
from vector_platform.quality.retrieval.query_slices import query_slices
from vector_platform.quality.retrieval.question_groups import question_groups
from vector_platform_tests.lake.building import chunk, open_lake
from vector_platform_tests.some import some


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("How do I rotate a key?", "how do i ROTATE a key", True),
        ("rotate the key of a secret", "a secret: rotate the key of", True),
        ("rotate the key of a secret", "rotate the key of a bucket", False),
        ("ｆｕｌｌ width", "full width", True),
        ("???", "!!!", False),
        ("ab", "abc", False),
    ],
)
def test_questions_are_the_same_by_their_words(one: str, other: str, same: bool) -> None:
    groups = question_groups({"a": one, "b": other}, {})
    assert groups == {"a": "a", "b": "a" if same else "b"}


def test_the_same_words_of_two_tenants_are_two_questions() -> None:
    texts = dict.fromkeys("abc", "what is new")
    assert question_groups(texts, {"a": "x", "b": "y", "c": "x"}) == {"a": "a", "b": "b", "c": "a"}


def test_no_pair_alike_is_missed_by_looking_under_rare_words_only() -> None:
    words = [f"w{number}" for number in range(12)]
    texts = {f"q{drop:02d}": " ".join(words[:drop] + words[drop + 1 :]) for drop in range(12)}
    assert set(question_groups(texts, {}).values()) == {"q00"}


def test_slices_are_named_by_what_is_asked() -> None:
    assert query_slices("rotate key", set_name="faq", tenant="kms") == (
        "tenant kms",
        "set faq",
        "length short",
        "script latin",
    )
    assert query_slices("密钥轮换", set_name="faq", tenant=None)[-1] == "script cjk"
    assert query_slices("123", set_name="faq", tenant=None)[-1] == "script none"


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    found = open_lake(tmp_path)
    chunks = [chunk("s:here", tenant="t"), chunk("s:theirs", tenant="u")]
    found.chunks.append(pa.Table.from_pylist(chunks, schema=CHUNKS.schema))
    asked = [
        ("alive", "what is here", "s:here", 1, "t"),
        ("again", "What is here?", "s:here", 1, "t"),
        ("apart", "here is what", "s:theirs", 1, "t"),
        ("dead", "who has gone", "s:gone", 1, None),
        ("zero", "which is none", "s:here", 0, None),
        ("lost", "where are theirs", "s:theirs", 1, "t"),
        ("missed", "nobody finds this", "s:here", 1, None),
    ]
    rows = [
        dict(zip(("query_id", "text", "doc_id", "gain", "tenant"), row, strict=True))
        | {"set_name": "demo", "provenance": "test"}
        for row in asked
    ]
    found.golden_queries.append(pa.Table.from_pylist(rows, schema=GOLDEN_QUERIES.schema))
    return found


def test_every_ill_query_is_named_with_what_is_the_matter(lake: Lake) -> None:
    questions = GoldenQuestions(lake)
    assert questions.dead == {"demo/dead", "demo/zero"}
    hit = set(questions.texts) - {"demo/missed"}
    ills = {one.query_id.removeprefix("demo/"): one.ill for one in questions.ill(hit)}
    assert ills == {
        # The first by name is the question; of "again", "alive" and "apart" that is "again".
        "alive": "duplicate",
        "apart": "other tenant",
        "dead": "dead",
        "lost": "other tenant",
        "missed": "never hit",
        "zero": "dead",
    }
    ill = some(questions.ill())
    assert "never hit" not in {one.ill for one in ill}
    assert all(one.facts()["mend"] for one in ill)


def test_a_query_is_dead_as_of_the_chunks_that_are_searched(lake: Lake) -> None:
    version = lake.chunks.version()
    gone = pa.Table.from_pylist([chunk("s:gone", tenant="t")], schema=CHUNKS.schema)
    lake.chunks.append(gone)
    assert "demo/dead" in GoldenQuestions(lake, version).dead
    assert "demo/dead" not in GoldenQuestions(lake).dead
