"""An inverted index in memory: key -> records and weights. Serves sparse vectors and words.

Belongs here: posting lists and the two sums over them (dot product, BM25).
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Hashable, Mapping

#: BM25 constants as Lucene and Robertson & Zaragoza (2009) use them by default.
_K1 = 1.2
_B = 0.75


class InvertedIndex:
    """Posting lists by key, for the slots of one namespace."""

    def __init__(self) -> None:
        self._postings: dict[Hashable, dict[int, float]] = {}
        self._keys: dict[int, tuple[Hashable, ...]] = {}
        self._length: dict[int, float] = {}
        self._total_length = 0.0

    def put(self, slot: int, weights: Mapping[Hashable, float]) -> None:
        """Set a slot's keys and weights, replacing what it had."""
        self.remove(slot)
        if not weights:
            return
        for key, weight in weights.items():
            self._postings.setdefault(key, {})[slot] = weight
        self._keys[slot] = tuple(weights)
        self._length[slot] = sum(weights.values())
        self._total_length += self._length[slot]

    def remove(self, slot: int) -> None:
        """Forget a slot; nothing happens when it is unknown."""
        for key in self._keys.pop(slot, ()):
            postings = self._postings[key]
            del postings[slot]
            if not postings:
                del self._postings[key]
        self._total_length -= self._length.pop(slot, 0.0)

    def dot(self, query: Mapping[Hashable, float]) -> dict[int, float]:
        """Dot product with every slot that shares at least one key with the query."""
        scores: dict[int, float] = {}
        for key, weight in query.items():
            for slot, value in self._postings.get(key, {}).items():
                scores[slot] = scores.get(slot, 0.0) + weight * value
        return scores

    def bm25(self, words: set[str]) -> dict[int, float]:
        """BM25 of every slot that holds at least one of the words; weights are word counts."""
        scores: dict[int, float] = {}
        for word in words:
            idf = self._idf(word)
            for slot, count in self._postings.get(word, {}).items():
                gain = idf * self._saturated(count, self._length[slot])
                scores[slot] = scores.get(slot, 0.0) + gain
        return scores

    def bm25_of(self, words: set[str], counts: Counter[str]) -> float:
        """BM25 of a text outside the index, by the statistics of the index."""
        length = float(counts.total())
        return sum(
            self._idf(word) * self._saturated(counts[word], length)
            for word in words
            if word in counts
        )

    def _idf(self, word: str) -> float:
        having = len(self._postings.get(word, ()))
        return math.log(1 + (len(self._keys) - having + 0.5) / (having + 0.5))

    def _saturated(self, count: float, length: float) -> float:
        average = self._total_length / len(self._keys) if self._keys else 1.0
        return count * (_K1 + 1) / (count + _K1 * (1 - _B + _B * length / (average or 1.0)))
