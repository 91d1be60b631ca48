"""Counting the tokens of many pieces of one text, with the text tokenized once.

Belongs here: how a piece's tokens are counted. A splitter measures each stretch of a text about
ten times, by ever other pieces of it; tokenizing each of them is where nearly all the time of
cutting went.
"""

from __future__ import annotations

from bisect import bisect_left
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tokenizers import Tokenizer


class PieceCounter:
    """Tokens of pieces of `text`, special tokens not counted.

    A tokenizer of the BERT family decides by single characters where a word begins and ends, so
    the tokens of a piece whose edges cut no word are those of its words. A piece that does cut
    one, and every piece under another kind of tokenizer, is tokenized itself: the number is
    always the tokenizer's own.

    Args:
        tokenizer: Counts; neither truncates nor pads.
        text: What the pieces are of.
    """

    def __init__(self, tokenizer: Tokenizer, text: str) -> None:
        self._tokenizer = tokenizer
        self._text = text
        self._hint = 0
        self._starts: list[int] = []
        self._ends: list[int] = []
        self._tokens_before: list[int] = []
        encoding = tokenizer.encode(text, add_special_tokens=False)
        self.total = len(encoding)
        self._is_local = _words_are_local(tokenizer)
        last: int | None = None
        pairs = zip(encoding.word_ids, encoding.offsets, strict=True) if self._is_local else ()
        for number, (word, (start, end)) in enumerate(pairs):
            if self._starts and word == last:
                self._ends[-1] = end
            else:
                self._starts.append(start)
                self._ends.append(end)
                self._tokens_before.append(number)
            last = word
        self._tokens_before.append(self.total)

    def count(self, piece: str) -> int:
        """How many tokens a piece has."""
        if self._is_local and (found := self._count_words(piece)) is not None:
            return found
        return len(self._tokenizer.encode(piece, add_special_tokens=False))

    def _count_words(self, piece: str) -> int | None:
        # Any place where the piece stands in the text will do; it is mostly the last one.
        start = self._text.find(piece, self._hint)
        if start < 0 and (start := self._text.find(piece)) < 0:
            return None
        self._hint = start
        end = start + len(piece)
        first, behind = bisect_left(self._starts, start), bisect_left(self._starts, end)
        if first and self._ends[first - 1] > start:
            return None
        if behind > first and self._ends[behind - 1] > end:
            return None
        return self._tokens_before[behind] - self._tokens_before[first]


def _words_are_local(tokenizer: Tokenizer) -> bool:
    parts = (tokenizer.normalizer, tokenizer.pre_tokenizer, tokenizer.model)
    kinds = [type(part).__name__ for part in parts]
    return kinds == ["BertNormalizer", "BertPreTokenizer", "WordPiece"]
