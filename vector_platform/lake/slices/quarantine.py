"""Quarantined slices: documents of a tenant or source that have no chunks until they are mended.

Belongs here: the rows of `quarantined_slices`, and which documents they hold.

A quarantined document stays in `documents` and keeps following its source. It only has no chunks,
so nothing of it is embedded or in an index: what serves readers derives from chunks alone. Its
vectors stay, so replaying what has not changed embeds nothing.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from datetime import date, datetime
from typing import Any

import pyarrow as pa

from vector_platform.errors import TerminalError
from vector_platform.lake.contract import canonical_json, hash_text
from vector_platform.lake.lake import Lake
from vector_platform.lake.slices.slices import SLICE_COLUMNS, Slice, documents_of
from vector_platform.lake.storage.table_reader import HistoryUnavailable
from vector_platform.lake.tables import run_metadata

# Rows of a change feed that say what a document was before it changed or went.
_AS_IT_WAS = ("update_preimage", "delete")


class SliceEmpty(TerminalError):
    """A slice that no document is of: more likely a slip than a wish."""


class UnknownQuarantine(TerminalError):
    """No quarantine has this id."""


class NothingMended(TerminalError):
    """A replay of documents that are as they were when they were quarantined."""


@dataclass(frozen=True)
class Quarantine:
    """One row of `quarantined_slices`.

    Attributes:
        quarantine_id: `q-` and eight hexadecimal digits.
        slice: What is held.
        actor: Who decided.
        reason: Why.
        evaluation_id: Measurement that asked for it; None for none.
        run_id: Run that wrote the row.
        opened_at: When.
        documents_id: The documents table at that time.
        documents_version: Its version.
        lifted_at: When it ended; None while it holds.
        lifted_by: Who ended it.
        lift_reason: Why.
    """

    quarantine_id: str
    slice: Slice
    actor: str
    reason: str
    evaluation_id: str | None
    run_id: str
    opened_at: datetime
    documents_id: str
    documents_version: int
    lifted_at: datetime | None = None
    lifted_by: str | None = None
    lift_reason: str | None = None

    @property
    def holds(self) -> bool:
        """Whether it is still in force."""
        return self.lifted_at is None

    def row(self) -> dict[str, Any]:
        """The row of the table."""
        known = {name: value for name, value in vars(self).items() if name != "slice"}
        return {**known, **asdict(self.slice)}

    def facts(self) -> dict[str, Any]:
        """The row for machines."""
        return {
            name: value.isoformat() if isinstance(value, date) else value
            for name, value in self.row().items()
        }


class SliceQuarantine:
    """Reads and writes quarantines. Chunks follow when they are next made.

    Args:
        lake: Where they are.
    """

    def __init__(self, lake: Lake) -> None:
        self._lake = lake
        self._table = lake.quarantined_slices

    def all(self) -> list[Quarantine]:
        """Every quarantine there has been, oldest first."""
        found = [_quarantine(row) for row in self._table.read().to_pylist()]
        return sorted(found, key=lambda one: (one.opened_at, one.quarantine_id))

    def open(self) -> list[Quarantine]:
        """Those in force."""
        return [one for one in self.all() if one.holds]

    def get(self, quarantine_id: str) -> Quarantine:
        """One quarantine.

        Raises:
            UnknownQuarantine: There is none of this id.
        """
        for one in self.all():
            if one.quarantine_id == quarantine_id:
                return one
        raise UnknownQuarantine(
            f"there is no quarantine {quarantine_id!r}: vector-platform quarantine list"
        )

    def documents(self, *slices: Slice) -> set[str]:
        """Ids of the documents that any of some slices holds; by default of those in force."""
        chosen = slices or tuple(one.slice for one in self.open())
        return documents_of(self._lake.documents, chosen)

    def add(
        self,
        slice_: Slice,
        *,
        actor: str,
        reason: str,
        run_id: str,
        now: datetime,
        evaluation_id: str | None = None,
    ) -> Quarantine:
        """Quarantine a slice. Where one in force covers it, that one is returned.

        Raises:
            SliceEmpty: No document is of it.
        """
        for one in self.open():
            if one.slice.covers(slice_):
                return one
        if not self.documents(slice_):
            raise SliceEmpty(f"the lake has no document of {slice_}: nothing is quarantined")
        documents_id, version = self._lake.documents.identity()
        identity = canonical_json([str(slice_), actor, now.isoformat()])
        return self._save(
            Quarantine(
                quarantine_id=f"q-{hash_text(identity)[:8]}",
                slice=slice_,
                actor=actor,
                reason=reason,
                evaluation_id=evaluation_id,
                run_id=run_id,
                opened_at=now,
                documents_id=documents_id,
                documents_version=version,
            )
        )

    def lift(
        self, quarantine_id: str, *, actor: str, reason: str, now: datetime, as_is: bool = False
    ) -> Quarantine:
        """End a quarantine, so that its documents are cut as they are now. May be repeated.

        Args:
            quarantine_id: Which.
            actor: Who decides.
            reason: Why.
            now: The time.
            as_is: Also when nothing of the slice is known to have changed.

        Raises:
            UnknownQuarantine: There is none of this id.
            NothingMended: No document of the slice has changed since, or nobody can tell.
        """
        one = self.get(quarantine_id)
        if not one.holds:
            return one
        changed = self.mended(one)
        if not changed and not as_is:
            found = "it cannot be told which documents" if changed is None else "no document"
            raise NothingMended(
                f"{quarantine_id} ({one.slice}): {found} changed since {one.opened_at:%Y-%m-%d}. "
                "Mend the source and land it again, or replay it as it is (--as-is)"
            )
        return self._save(replace(one, lifted_at=now, lifted_by=actor, lift_reason=reason))

    def mended(self, quarantine: Quarantine) -> int | None:
        """How many documents of a slice were changed or went since; None when nobody can tell.

        One that only came mends nothing: a source that is not mended delivers more of the same.
        """
        documents_id, version = self._lake.documents.identity()
        if documents_id != quarantine.documents_id:
            return None
        columns = ["doc_id", *SLICE_COLUMNS]
        try:
            rows = self._lake.documents.changes(quarantine.documents_version, version, columns)
        except HistoryUnavailable:
            return None
        was = [row for row in rows.to_pylist() if row["_change_type"] in _AS_IT_WAS]
        return len({row["doc_id"] for row in was if quarantine.slice.holds(row)})

    def _save(self, quarantine: Quarantine) -> Quarantine:
        rows = pa.Table.from_pylist([quarantine.row()], schema=self._table.spec.schema)
        what = "quarantine" if quarantine.holds else "replay"
        metadata = run_metadata(quarantine.run_id, f"{what} {quarantine.quarantine_id}")
        self._table.merge(rows, metadata=metadata)
        return quarantine


def _quarantine(row: dict[str, Any]) -> Quarantine:
    parts = {name: row.pop(name) for name in ("source", "tenant", "since")}
    return Quarantine(slice=Slice(**parts), **row)
