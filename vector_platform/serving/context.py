"""Passages for a model to answer from: joined by document, within a budget, with citations.

Belongs here: pure functions from hits to a text and its citations.

Documents come in the order of their best hit, passages of a document in the order of the document.
Neighbours that share text (chunks overlap) are joined without repeating it. What does not fit is
left out whole, the worst first, and counted.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final

from vector_platform.indexes.contract import Hit
from vector_platform.serving.answers import Source

DEFAULT_TOKENS: Final = 2000
MAX_TOKENS: Final = 32_000
# Characters that neighbours are looked at for what they share.
_SHARED: Final = 4000
# Fewer that are alike are chance.
_LEAST_SHARED: Final = 12
_GAP: Final = "\n[...]\n"


@dataclass(frozen=True)
class Citation:
    """What a number in the text stands for.

    Attributes:
        number: From 1, as `[1]` in the text.
        doc_id: Document.
        title: Its title.
        tenant: Whose it is.
        chunks: Passages of it that are in the text, in order.
        score: Of its best passage.
    """

    number: int
    doc_id: str
    title: str
    tenant: str
    chunks: tuple[str, ...]
    score: float


@dataclass(frozen=True)
class Context:
    """A text to answer from.

    Attributes:
        source: What answered.
        text: Numbered documents with their passages.
        citations: What the numbers stand for, in order.
        tokens: Tokens of the text.
        left_out: Hits that did not fit.
        notice: See `Answer`.
    """

    source: Source
    text: str
    citations: tuple[Citation, ...]
    tokens: int
    left_out: int
    notice: str = ""

    def as_json(self) -> dict[str, Any]:
        """The context for machines."""
        return {
            **self.source.as_json(),
            "notice": self.notice,
            "text": self.text,
            "tokens": self.tokens,
            "left_out": self.left_out,
            "citations": [vars(citation) for citation in self.citations],
        }


def written(
    hits: Sequence[Hit], *, budget: int, count_tokens: Callable[[str], int]
) -> tuple[str, tuple[Citation, ...], int]:
    """The text of hits within a budget, its citations, and how many hits did not fit.

    Args:
        hits: Best first.
        budget: Tokens of the text at most.
        count_tokens: Counts them.
    """
    taken: list[Hit] = []
    text: str = ""
    citations: tuple[Citation, ...] = ()
    for hit in hits:
        longer, cited = _laid_out([*taken, hit])
        if count_tokens(longer) <= budget:
            taken.append(hit)
            text, citations = longer, cited
    return text, citations, len(hits) - len(taken)


def _laid_out(hits: Sequence[Hit]) -> tuple[str, tuple[Citation, ...]]:
    documents: dict[tuple[str, str], list[Hit]] = {}
    for hit in hits:
        documents.setdefault((hit.tenant, hit.doc_id), []).append(hit)
    blocks, citations = [], []
    for number, ((tenant, doc_id), own) in enumerate(documents.items(), start=1):
        passages = sorted(own, key=_ordinal)
        head = f"[{number}] {passages[0].title}".rstrip()
        blocks.append(f"{head}\n{_joined(passages)}")
        citations.append(
            Citation(
                number=number,
                doc_id=doc_id,
                title=passages[0].title,
                tenant=tenant,
                chunks=tuple(passage.id for passage in passages),
                score=max(passage.score for passage in passages),
            )
        )
    return "\n\n".join(blocks), tuple(citations)


def _joined(passages: Sequence[Hit]) -> str:
    text = passages[0].text
    for before, after in pairwise(passages):
        if _ordinal(after) == _ordinal(before) + 1:
            text = joined(text, after.text)
        else:
            text = f"{text}{_GAP}{after.text}"
    return text


def joined(before: str, after: str) -> str:
    """Two neighbouring passages as one text: what one ends and the other begins with, once."""
    for length in range(min(len(before), len(after), _SHARED), _LEAST_SHARED - 1, -1):
        if before.endswith(after[:length]):
            return before + after[length:]
    return f"{before}\n{after}"


def _ordinal(hit: Hit) -> int:
    """The place of a chunk in its document, from its id `{doc_id}#{ordinal}`."""
    number = hit.id.rpartition("#")[2]
    return int(number) if number.isdecimal() else 0
