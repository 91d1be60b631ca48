"""Long and hostile documents: cut in time that grows with them, in little memory, as short ones."""

from __future__ import annotations

import itertools
import random
import subprocess
import sys
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer
from tokenizers.models import BPE

from vector_platform.corpus import chunking
from vector_platform.corpus.chunking import Chunker, default_tokenizer
from vector_platform.corpus.counting import PieceCounter
from vector_platform_tests.growth import BOUND, growth
from vector_platform_tests.some import some
from vector_platform_tests.tiers import examples, sampled

CHUNKER = Chunker(max_tokens=256)
LETTERS = random.Random(0).choices([chr(code) for code in range(0x4E00, 0x9FA5)], k=60_000)
WORST: dict[str, Callable[[int], str]] = {
    "chinese-without-a-stop": lambda n: "".join(LETTERS[:n]),
    "chinese-under-a-heading": lambda n: "# 标题\n" + "".join(LETTERS[:n]),
    "one-word": lambda n: "x" * (2 * n),
    "spaces-in-a-heading": lambda n: "# a" + " " * n + "b",
    "number-signs": lambda n: "#" * n,
    "headings": lambda n: "# x\n" * (n // 4),
    "quotes": lambda n: "# a\n" + "> " * (n // 2) + "x",
    "open-brackets": lambda n: "# a\n" + "[a](" * (n // 4),
    "stars": lambda n: "# a\n" + "*a " * (n // 3),
    "open-comments": lambda n: "# a\n" + "<!-- " * (n // 5),
    "list": lambda n: "# a\n" + "- a\n" * (n // 4),
    "combining-marks": lambda n: "a" + "\u0301" * n,
    "words-without-a-stop": lambda n: "word " * (n // 5),
}


def tokenizer() -> Tokenizer:
    found = Tokenizer.from_file(str(default_tokenizer()))
    found.no_truncation()
    found.no_padding()
    return found


TOKENIZER = tokenizer()
PARTS = st.sampled_from(
    [
        *("Word", "don't", "3.14", "naïve", "e\u0301", "漢字かな", " ", "\n", "[MASK]", "\x00"),
        *("\ufffd", "x" * 101, "가", "ΑΣ", "ﬁ", "👩\u200d👧", "\u0301", "กำ", "İ", "\u00ad"),
    ]
)
TEXTS = st.lists(PARTS, max_size=25).map("".join) | st.text(max_size=60)


@examples(30)
@given(text=TEXTS, cuts=st.lists(st.integers(0, 200), min_size=2, max_size=8))
def test_a_piece_has_the_tokens_that_its_tokenizer_gives_it(text: str, cuts: list[int]) -> None:
    counter = PieceCounter(TOKENIZER, text)
    for first, last in some(itertools.pairwise(cuts)):
        piece = text[min(first, last) : max(first, last)]
        assert counter.count(piece) == len(TOKENIZER.encode(piece, add_special_tokens=False))


def test_another_kind_of_tokenizer_is_asked_for_every_piece() -> None:
    merging = Tokenizer(BPE({"a": 0, "b": 1, "ab": 2}, [("a", "b")]))
    counter = PieceCounter(merging, "abab")
    assert [counter.count(piece) for piece in ("abab", "aba", "b", "ba")] == [2, 2, 1, 2]


SAMPLE = {"chinese-without-a-stop", "spaces-in-a-heading", "number-signs"}


@pytest.mark.parametrize("kind", sampled(WORST, fast=SAMPLE))
def test_time_grows_no_faster_than_the_document(kind: str) -> None:
    taken = growth(lambda text: CHUNKER.chunk("A title", text), WORST[kind], 12_000)
    assert taken < BOUND


SENTENCES = st.lists(
    st.sampled_from(
        ["Short one.", "A sentence of some more words, and a comma.", "漢字。", "x" * 40]
    ),
    min_size=40,
    max_size=200,
)


@examples(2)
@given(sentences=SENTENCES, gap=st.sampled_from([" ", "\n", "\n\n", "\n\n## Part\n\n"]))
def test_windows_cut_a_text_as_it_is_cut_in_one_go(sentences: list[str], gap: str) -> None:
    text = gap.join(sentences)
    with pytest.MonkeyPatch.context() as patch:
        small = Chunker(max_tokens=32)
        whole = small.chunk("", text)
        patch.setattr(chunking, "_MAX_CHARACTERS", 1500)
        assert small.chunk("", text) == whole


@pytest.mark.parametrize("overlap", [0, 16])
def test_no_word_is_lost_between_windows(overlap: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chunking, "_MAX_CHARACTERS", 3000)
    words = [f"w{number}" for number in range(5000)]
    text = "# Head\n\n" + "\n".join(" ".join(words[n : n + 50]) for n in range(0, 5000, 50))
    passages = Chunker(max_tokens=64, overlap_tokens=overlap).chunk("", text)
    found = " ".join(passages).split()
    if overlap:
        assert list(dict.fromkeys(found)) == ["#", "Head", *words]
    else:
        assert found == ["#", "Head", *words]


def test_a_document_of_megabytes_is_cut_in_little_memory() -> None:
    code = (
        "import resource, sys; from vector_platform.corpus.chunking import Chunker\n"
        "chunker = Chunker(max_tokens=256); chunker.chunk('', 'word ' * 50_000)\n"
        "held = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "before = held(); text = '# Head\\n\\nSome words here.\\n\\n' * 60_000\n"
        "assert len(chunker.chunk('', text)) > 1000\n"
        "print((held() - before) // (1024 * 1024 if sys.platform == 'darwin' else 1024))"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert int(done.stdout) < 120, "MB for a document of 1.6 MB"
