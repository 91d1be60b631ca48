"""Rows on their way into one commit, kept on disk so that memory does not grow with them.

Belongs here: the temporary Arrow file.
"""

from __future__ import annotations

from typing import Any

import pyarrow as pa

from vector_platform.lake.storage.scratch import ScratchFolder

# Rows held in memory before they go to the file.
_BATCH_ROWS = 2048


class Spool:
    """Collects rows of one schema and gives them back as one memory-mapped Arrow table."""

    def __init__(self, schema: pa.Schema) -> None:
        self._schema = schema
        self._pending: list[dict[str, Any]] = []
        self._folder = ScratchFolder("landing")
        self._path = self._folder.path / "rows.arrow"
        self._writer = pa.ipc.new_file(str(self._path), schema)
        self.rows = 0

    def __enter__(self) -> Spool:
        return self

    def __exit__(self, *_: object) -> None:
        self._writer.close()
        self._folder.remove()

    def add(self, row: dict[str, Any]) -> None:
        """Take in one row; columns that are not given are null."""
        self._pending.append(row)
        self.rows += 1
        if len(self._pending) >= _BATCH_ROWS:
            self._flush()

    def table(self) -> pa.Table:
        """All rows. Nothing can be added afterwards; valid while the spool is open."""
        self._flush()
        self._writer.close()
        return pa.ipc.open_file(pa.memory_map(str(self._path))).read_all()

    def _flush(self) -> None:
        if self._pending:
            batch = pa.RecordBatch.from_pylist(self._pending, schema=self._schema)
            self._writer.write_batch(batch)
            self._pending.clear()
