"""One namespace in memory: ids, dense vectors, and lookups built when first asked for.

Belongs here: what search needs at hand.

Every record has a slot, a small number that addresses its row in the matrix, in the filter
columns and in the posting lists. Freed slots are used again. Columns and posting lists cost
memory and time, so each is built at its first use and kept current from then on.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Iterable

import numpy as np

from ..filters import tokens
from ..records import DenseVector, Record
from .column import Column, Mask
from .inverted import InvertedIndex
from .matrix import Matrix
from .views import View

#: Reads every record of the namespace, in any order.
Scan = Callable[[], Iterable[Record]]


class Namespace:
    """The searchable state of one namespace.

    Args:
        name: Its name.
        key: Its number in the store.
        lsn: Log position of its newest write.
        dimension: Length of dense vectors; 0 when the index has none.
        metric: The index's metric.
        scan: Reads all its records from the store, for lookups built later.

    Attributes:
        slot_of: Record id -> slot.
        fetch_view: What fetch, list and counts show.
        search_view: What search shows.
    """

    def __init__(
        self, name: str, key: int, lsn: int, *, dimension: int, metric: str, scan: Scan
    ) -> None:
        self.name = name
        self.key = key
        self.lsn = lsn
        self.matrix = Matrix(dimension, metric)
        self.slot_of: dict[str, int] = {}
        self.fetch_view = View(lsn)
        self.search_view = View(lsn)
        self._scan = scan
        self._ids: list[str | None] = []
        self._free: list[int] = []
        self._columns: dict[str, Column] = {}
        self._text: dict[str, InvertedIndex] = {}
        self._sparse: InvertedIndex | None = None

    @property
    def slots(self) -> int:
        """How many slots exist, free ones included."""
        return len(self._ids)

    def id_at(self, slot: int) -> str:
        """Return the id in a slot that is in use."""
        found = self._ids[slot]
        assert found is not None, "a free slot has no id"
        return found

    def in_use(self) -> Mask:
        """Return which slots hold a record; shape `(slots,)`."""
        used = np.ones(self.slots, np.bool_)
        used[self._free] = False
        return used

    def load(self, ids: list[str], vectors: DenseVector | None) -> None:
        """Append stored records, before any other use of the namespace.

        Args:
            ids: Record ids, none of them loaded before.
            vectors: Their dense vectors, shape `(len(ids), dimension)`; None in a sparse index.
        """
        first = len(self._ids)
        self._ids += ids
        self.slot_of.update(zip(ids, range(first, first + len(ids)), strict=True))
        if vectors is not None:
            self.matrix.put(first, vectors)

    def put(self, record: Record) -> None:
        """Insert or replace a record."""
        slot = self._slot(record.id)
        if record.dense is not None:
            self.matrix.put(slot, record.dense[np.newaxis])
        for name, column in self._columns.items():
            column.set(slot, record.fields.get(name))
        for name, index in self._text.items():
            index.put(slot, _word_counts(record, name))
        if self._sparse is not None:
            self._sparse.put(slot, sparse_weights(record))

    def _slot(self, record_id: str) -> int:
        """Return a record's slot, giving it a free one when it is new."""
        slot = self.slot_of.get(record_id)
        if slot is None:
            slot = self._free.pop() if self._free else len(self._ids)
            if slot == len(self._ids):
                self._ids.append(record_id)
            self._ids[slot] = record_id
            self.slot_of[record_id] = slot
        return slot

    def remove(self, record_id: str) -> None:
        """Remove a record; nothing happens when it is unknown."""
        slot = self.slot_of.pop(record_id, None)
        if slot is None:
            return
        self._ids[slot] = None
        self._free.append(slot)
        for column in self._columns.values():
            column.set(slot, None)
        for index in self._text.values():
            index.remove(slot)
        if self._sparse is not None:
            self._sparse.remove(slot)

    def column(self, field: str) -> Column:
        """Return a metadata field's values by slot."""
        column = self._columns.get(field)
        if column is None:
            column = Column()
            for record in self._scan():
                column.set(self.slot_of[record.id], record.fields.get(field))
            self._columns[field] = column
        return column

    def text_index(self, field: str) -> InvertedIndex:
        """Return the words of a full-text field."""
        index = self._text.get(field)
        if index is None:
            index = InvertedIndex()
            for record in self._scan():
                index.put(self.slot_of[record.id], _word_counts(record, field))
            self._text[field] = index
        return index

    def sparse_index(self) -> InvertedIndex:
        """Return the sparse vectors."""
        if self._sparse is None:
            index = InvertedIndex()
            for record in self._scan():
                index.put(self.slot_of[record.id], sparse_weights(record))
            self._sparse = index
        return self._sparse


def _word_counts(record: Record, field: str) -> dict[Hashable, float]:
    return dict(Counter(tokens(record.fields.get(field, ""))))


def sparse_weights(record: Record) -> dict[Hashable, float]:
    """Return a record's sparse vector as index -> weight."""
    if record.sparse is None:
        return {}
    return dict(zip(record.sparse["indices"], record.sparse["values"], strict=True))
