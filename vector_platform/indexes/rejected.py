"""The dead-letter table: rows that a backend refuses for themselves.

Belongs here: remembering refused rows and letting them go.

A refused row is excused from the proof as long as the lake still wants exactly what was refused:
same id, tenant and digest. A changed row is tried again by the sync that brings the change, a
repair or a full comparison tries all of them again, and what the lake no longer wants is let go.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from vector_platform.indexes.contract import RowKey
from vector_platform.indexes.state import GenerationState
from vector_platform.lake.lake import Lake
from vector_platform.lake.snapshots import Snapshot
from vector_platform.lake.storage.conditions import Condition
from vector_platform.lake.storage.tables import Table


class RejectedRows:
    """The refused rows of one generation."""

    def __init__(self, lake: Lake, state: GenerationState) -> None:
        self._lake = lake
        self._table: Table = lake.rejected_rows
        self._state = state

    def held(self) -> dict[RowKey, str]:
        """(id, tenant) -> digest of every refused row."""
        return {(row["id"], row["tenant"]): row["digest"] for row in self.rows()}

    def rows(self) -> list[dict[str, Any]]:
        """The rows of the table, by id."""
        mine: list[Condition] = [
            ("backend", "==", self._state.backend),
            ("index", "==", self._state.index),
            ("generation", "==", self._state.generation),
        ]
        return sorted(self._table.read(where=mine).to_pylist(), key=lambda row: str(row["id"]))

    def record(
        self,
        refused: Mapping[RowKey, tuple[str, str, str]],
        written: set[RowKey],
        snapshot: Snapshot,
        *,
        run_id: str,
        now: datetime,
    ) -> None:
        """Add what was refused; let go what was written or is no longer wanted. One commit.

        Args:
            refused: (id, tenant) -> (digest, doc_id, reason) of this run.
            written: Previously refused rows that this run has written.
            snapshot: What the lake wants now.
            run_id: Recorded with the rows.
            now: Recorded with the rows.
        """
        held = self.held()
        wanted = self._wanted(set(held) - set(refused), snapshot)
        gone = [key for key in held if key not in refused and (key in written or key not in wanted)]
        place = {
            "backend": self._state.backend,
            "index": self._state.index,
            "generation": self._state.generation,
        }
        origins = self._origins({doc_id for _, doc_id, _ in refused.values()})
        rows = [
            {
                **place,
                "id": row_id,
                "tenant": tenant,
                "digest": digest,
                "doc_id": doc_id,
                **origins.get(doc_id, {}),
                "reason": reason,
                "run_id": run_id,
                "rejected_at": now,
            }
            for (row_id, tenant), (digest, doc_id, reason) in sorted(refused.items())
            if held.get((row_id, tenant)) != digest
        ]
        self._table.merge(
            pa.Table.from_pylist(rows, schema=self._table.spec.schema),
            [(*place.values(), *key) for key in gone],
            {"run_id": run_id, "what": f"{len(rows)} refused, {len(gone)} let go"},
        )

    def _origins(self, doc_ids: set[str]) -> dict[str, dict[str, Any]]:
        """Where documents came from: doc_id -> source and uri, of those the lake still has."""
        if not doc_ids:
            return {}
        rows = self._lake.documents.read(
            ["doc_id", "source", "uri"], where=[("doc_id", "in", sorted(doc_ids))]
        ).to_pylist()
        return {row.pop("doc_id"): row for row in rows}

    def _wanted(self, keys: set[RowKey], snapshot: Snapshot) -> set[RowKey]:
        """Which of these rows the lake still wants under their tenant."""
        if not keys:
            return set()
        rows = self._lake.chunks.read(
            ["chunk_id", "tenant"],
            where=[("chunk_id", "in", sorted({row_id for row_id, _ in keys}))],
            version=snapshot.chunks,
        ).to_pylist()
        return keys & {(row["chunk_id"], row["tenant"]) for row in rows}


def without(
    batches: Iterator[pa.RecordBatch], excused: Mapping[RowKey, str]
) -> Iterator[pa.RecordBatch]:
    """Desired keys without the excused rows: those refused exactly as they are wanted."""
    if not excused:
        yield from batches
        return
    names = pa.array(sorted({row_id for row_id, _ in excused}), pa.string())
    for batch in batches:
        if not pc.any(pc.is_in(batch.column("id"), value_set=names)).as_py():
            yield batch
            continue
        keep = [
            excused.get((row["id"], row["tenant"])) != row["digest"] for row in batch.to_pylist()
        ]
        yield batch.filter(pa.array(keep))
