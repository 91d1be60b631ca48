"""One Delta table as its readers see it: versions, rows as a stream, and what changed.

Belongs here: all reads of a table.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.dataset as ds
from deltalake import DeltaTable
from deltalake.exceptions import DeltaError, TableNotFoundError

from vector_platform.errors import TransientError
from vector_platform.lake.contract import TableSpec
from vector_platform.lake.storage.conditions import Condition, file_filter, row_filter
from vector_platform.lake.storage.damage import reading
from vector_platform.lake.storage.table_cache import Versions

# Columns the change data feed adds, as far as we read them.
_FEED_FIELDS = (pa.field("_change_type", pa.string()), pa.field("_commit_version", pa.int64()))


class HistoryUnavailable(TransientError):
    """The changes between two versions can no longer be read (vacuumed, recreated)."""


class TableReader:
    """A Delta table of the contract. Every read sees the newest version."""

    def __init__(self, spec: TableSpec, root: str, storage_options: dict[str, str] | None) -> None:
        self.spec = spec
        self.uri = f"{root.rstrip('/')}/{spec.name}"
        self._options = storage_options
        self._versions = Versions(spec, self.uri, storage_options)

    # -- state ------------------------------------------------------------------------------

    def exists(self) -> bool:
        """Whether the table has been created."""
        return self._versions.exist()

    def version(self) -> int:
        """The newest version, or -1 when the table does not exist. Reads the log only."""
        return self.identity()[1]

    def identity(self) -> tuple[str, int]:
        """The table's id and newest version; `("", -1)` when it does not exist.

        Delta gives a table its id at creation, so a table that was dropped and made anew has
        another one even when its versions look familiar. Reads the log only.
        """
        try:
            with reading(self.spec.name, self.uri):
                newest = self._versions.newest()
        except TableNotFoundError:
            return "", -1
        return newest.table_id, newest.version

    def rows(self, version: int | None = None) -> int:
        """Number of rows at a version. Reads what files say of themselves."""
        with reading(self.spec.name, self.uri):
            return int(self.dataset(version).count_rows())

    def history(self, limit: int | None = None) -> list[dict[str, Any]]:
        """Commits, newest first, with the metadata they were written with."""
        return list(self._open().history(limit)) if self.exists() else []

    # -- reading ----------------------------------------------------------------------------

    def dataset(self, version: int | None = None, *, where: Sequence[Condition] = ()) -> ds.Dataset:
        """The table at a version as an Arrow dataset; empty before its creation (version -1).

        Args:
            version: Delta version; None for the newest.
            where: Files that cannot hold a row of these conditions are left out. Those that stay
                are whole, so only conditions on partitions say something of every row.
        """
        if version == -1 or not self.exists():
            return ds.dataset(self.spec.schema.empty_table())
        versions = self._versions
        with reading(self.spec.name, self.uri):
            files = (versions.newest() if version is None else versions.at(version)).files
        if not where or not isinstance(files, ds.FileSystemDataset):
            return files
        kept = list(files.get_fragments(file_filter(where, self.spec.schema)))
        return ds.FileSystemDataset(kept, files.schema, files.format, files.filesystem)

    def require_files(self) -> None:
        """See that every file of the newest version is there. Reads their ends, and no row.

        For a query that is given a dataset whole: of an error in one, DuckDB keeps the text alone.

        Raises:
            TableDamaged: One is missing or is no Parquet file.
        """
        with reading(self.spec.name, self.uri):
            for fragment in self.dataset().get_fragments():
                if isinstance(fragment, ds.ParquetFileFragment):
                    fragment.ensure_complete_metadata()

    def batches(
        self,
        columns: Sequence[str] | None = None,
        *,
        where: Sequence[Condition] = (),
        version: int | None = None,
        batch_rows: int = 8192,
    ) -> Iterator[pa.RecordBatch]:
        """Rows as Arrow batches, in no particular order; memory is bounded by a few batches."""
        with reading(self.spec.name, self.uri):
            scanner = self.dataset(version, where=where).scanner(
                columns=list(columns) if columns else None,
                filter=row_filter(where, self.spec.schema) if where else None,
                batch_size=batch_rows,
                fragment_readahead=1,
                batch_readahead=2,
            )
            yield from (batch for batch in scanner.to_batches() if batch.num_rows)

    def read(
        self,
        columns: Sequence[str] | None = None,
        *,
        where: Sequence[Condition] = (),
        version: int | None = None,
    ) -> pa.Table:
        """The matching rows, in memory."""
        with reading(self.spec.name, self.uri):
            return self.dataset(version, where=where).to_table(
                columns=list(columns) if columns else None,
                filter=row_filter(where, self.spec.schema) if where else None,
            )

    def changes(self, after: int, until: int, columns: Sequence[str] | None = None) -> pa.Table:
        """Row-level changes of the versions `after` < v <= `until`, from the change data feed.

        Adds `_change_type` (insert, delete, update_preimage, update_postimage) and
        `_commit_version`.

        Raises:
            HistoryUnavailable: The feed does not reach back that far; compare in full instead.
        """
        wanted = [*(columns or self.spec.schema.names), "_change_type", "_commit_version"]
        if until == after:
            fields = [*self.spec.schema, *_FEED_FIELDS]
            return pa.schema(fields).empty_table().select(wanted)
        try:
            reader = self._open().load_cdf(
                starting_version=after + 1, ending_version=until, columns=wanted
            )
            return pa.table(pa.RecordBatchReader.from_stream(reader).read_all())
        except (DeltaError, OSError, pa.ArrowException) as error:
            raise HistoryUnavailable(
                f"table {self.spec.name}: changes {after + 1}..{until} cannot be read ({error})"
            ) from error

    # -- opening ----------------------------------------------------------------------------

    def _open(self, version: int | None = None) -> DeltaTable:
        with reading(self.spec.name, self.uri):
            return self._versions.open(version)
