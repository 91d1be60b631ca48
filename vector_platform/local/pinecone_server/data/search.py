"""Finding records: by filter, by page, and by score, as one view shows them.

Belongs here: joining filter, scores and visibility.

Equal scores are ordered by id, so that the same data gives the same answer on every run.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from .filters import Filter, mask, matches, tokens
from .memory.column import Mask
from .memory.namespace import Namespace, sparse_weights
from .records import DenseVector, Record
from .store import IndexStore, ReadKind

Weights = Mapping[Hashable, float]
# Ids that a filter is tried on at once.
_WALK_IDS = 1000


@dataclass(frozen=True, slots=True)
class Hit:
    """A found record and its score in the index's metric (a distance for Euclidean)."""

    id: str
    score: float


@dataclass(frozen=True)
class Reader:
    """Reads one namespace as one kind of reader sees it, within one store session."""

    store: IndexStore
    namespace: Namespace
    hidden: Mapping[str, Record | None]
    lsn: int

    @classmethod
    def open(cls, store: IndexStore, name: str, kind: ReadKind) -> Reader | None:
        """Open a namespace for reading; None when it does not exist."""
        namespace = store.namespace(name)
        if namespace is None:
            return None
        view = store.view(namespace, kind)
        return cls(store, namespace, view.hidden, view.lsn)

    def record(self, record_id: str) -> Record | None:
        """Read one record; None when this reader sees none."""
        if record_id in self.hidden:
            return self.hidden[record_id]
        if record_id not in self.namespace.slot_of:
            return None
        return self.store.read(self.namespace, record_id)

    def matching_ids(self, condition: Filter | None) -> list[str]:
        """Return the ids of all records that pass a filter, in no order."""
        slots = np.flatnonzero(self._allowed(condition))
        found = [self.namespace.id_at(slot) for slot in slots.tolist()]
        return found + [record.id for record in self._before_images(condition)]

    def matching_page(self, condition: Filter, after: str, limit: int) -> list[str]:
        """Return the first `limit` ids in order that pass a filter, after an id.

        Walks the ids in order, so that a page of a filter that lets most pass costs what it holds.
        """
        allowed = self._allowed(condition)
        extra = sorted(r.id for r in self._before_images(condition) if r.id > after)
        found: list[str] = []
        last = after
        while len(found) < limit:
            ids = self.store.ids_after(self.namespace, "", last, _WALK_IDS)
            found += [i for i in ids if allowed[self.namespace.slot_of[i]]]
            if len(ids) < _WALK_IDS:
                break
            last = ids[-1]
        return sorted([*found, *extra])[:limit]

    def page_of_ids(self, prefix: str, after: str, limit: int) -> list[str]:
        """Return the first `limit` ids in order with a prefix, after an id."""
        ids = self.store.ids_after(self.namespace, prefix, after, limit + len(self.hidden))
        extra = [r.id for r in self._before_images(None) if r.id.startswith(prefix)]
        seen = {i for i in ids if i not in self.hidden} | {i for i in extra if i > after}
        return sorted(seen)[:limit]

    def dense_hits(
        self, query: DenseVector, k: int, condition: Filter | None, sparse: Weights | None = None
    ) -> list[Hit]:
        """Find the nearest dense vectors, with the sparse dot product added when given."""
        matrix = self.namespace.matrix
        scores = matrix.scores(query, self.namespace.slots).astype(np.float64)
        if sparse is not None:
            for slot, score in self.namespace.sparse_index().dot(sparse).items():
                scores[slot] += score
        slots = np.flatnonzero(self._allowed(condition))
        if len(slots) > k:
            threshold = np.partition(scores[slots], len(slots) - k)[len(slots) - k]
            slots = slots[scores[slots] >= threshold]
        found = [Hit(self.namespace.id_at(slot), float(scores[slot])) for slot in slots.tolist()]
        for record in self._before_images(condition):
            if record.dense is not None:
                score = matrix.score_of(query, record.dense) + _dot(sparse or {}, record)
                found.append(Hit(record.id, score))
        best = _best(found, k)
        if matrix.metric == "euclidean":
            return [Hit(hit.id, -hit.score) for hit in best]
        return best

    def sparse_hits(self, query: Weights, k: int, condition: Filter | None) -> list[Hit]:
        """Find the records with the largest sparse dot product; those sharing no index are out."""
        scores = self.namespace.sparse_index().dot(query)

        def score(record: Record) -> float | None:
            return _dot(query, record) if query.keys() & sparse_weights(record).keys() else None

        return self._scored(scores, score, k, condition)

    def text_hits(
        self, clauses: list[tuple[str, str]], k: int, condition: Filter | None
    ) -> list[Hit]:
        """Find records by BM25, summed over distinct (field, query) clauses."""
        total: dict[int, float] = {}
        wanted = [(field, set(tokens(query))) for field, query in dict.fromkeys(clauses)]
        for field, words in wanted:
            for slot, gain in self.namespace.text_index(field).bm25(words).items():
                total[slot] = total.get(slot, 0.0) + gain

        def score(record: Record) -> float | None:
            gain = sum(
                self.namespace.text_index(field).bm25_of(
                    words, Counter(tokens(record.fields.get(field, "")))
                )
                for field, words in wanted
            )
            return gain or None

        return self._scored(total, score, k, condition)

    def _scored(
        self,
        scores: Mapping[int, float],
        score: Callable[[Record], float | None],
        k: int,
        condition: Filter | None,
    ) -> list[Hit]:
        allowed = self._allowed(condition)
        found = [Hit(self.namespace.id_at(s), value) for s, value in scores.items() if allowed[s]]
        images = ((record.id, score(record)) for record in self._before_images(condition))
        found += [Hit(record_id, value) for record_id, value in images if value is not None]
        return _best(found, k)

    def _allowed(self, condition: Filter | None) -> Mask:
        allowed = self.namespace.in_use()
        for record_id in self.hidden:
            slot = self.namespace.slot_of.get(record_id)
            if slot is not None:
                allowed[slot] = False
        if condition is not None:
            allowed &= mask(condition, self.namespace.column, self.namespace.slots)
        return allowed

    def _before_images(self, condition: Filter | None) -> list[Record]:
        shown = [record for record in self.hidden.values() if record is not None]
        return [r for r in shown if condition is None or matches(condition, r.fields)]


def _dot(query: Weights, record: Record) -> float:
    weights: dict[Any, float] = sparse_weights(record)
    return sum(weight * weights.get(key, 0.0) for key, weight in query.items())


def _best(hits: list[Hit], k: int) -> list[Hit]:
    return sorted(hits, key=lambda hit: (-hit.score, hit.id))[:k]
