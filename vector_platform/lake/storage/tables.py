"""One Delta table: create, read as a stream, write in one commit, follow its changes.

Belongs here: all that is done to a table. Every write is one Delta commit, so a reader sees all of
it or none. A commit that loses a race is retried by delta-rs and, when it truly conflicts, raised
as `CommitConflict`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Literal

import pyarrow as pa
import pyarrow.dataset as ds
from deltalake import CommitProperties, DeltaTable, Schema, WriterProperties, write_deltalake
from deltalake.exceptions import CommitFailedError, DeltaError, TableNotFoundError

from vector_platform.errors import ContractError, TransientError
from vector_platform.faults import first_line
from vector_platform.lake.contract import TableSpec
from vector_platform.lake.storage.conditions import (
    Condition,
    file_filter,
    row_filter,
    sql_predicate,
)
from vector_platform.lake.storage.damage import reading
from vector_platform.lake.storage.joins import scan, spilling_duckdb
from vector_platform.lake.storage.table_cache import Versions

Metadata = dict[str, str]

# Columns the change data feed adds, as far as we read them.
_FEED_FIELDS = (pa.field("_change_type", pa.string()), pa.field("_commit_version", pa.int64()))

# Files are read a row group at a time: small ones keep a reader's memory small (4,096 vectors of
# 1,024 dimensions are 16 MiB) and let it skip those without a wanted row. A column whose values
# rarely repeat gives up its dictionary early instead of storing one in every row group.
_LAYOUT = WriterProperties(
    compression="SNAPPY", max_row_group_size=4096, dictionary_page_size_limit=64 * 1024
)


class CommitConflict(TransientError):
    """Another writer committed first and the two writes cannot both hold."""


class WriteFailed(TransientError):
    """The storage did not take a commit (a full disk, no permission, an outage)."""


class HistoryUnavailable(TransientError):
    """The changes between two versions can no longer be read (vacuumed, recreated)."""


class Table:
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

    def ensure(self) -> None:
        """Create the table when it does not exist; add columns the contract has gained since.

        Of processes that create it at once, one does, and the others have what it made.
        """
        if self.exists():
            self._add_new_columns()
            return
        try:
            with self._commit_errors():
                DeltaTable.create(
                    self.uri,
                    schema=self.spec.schema,
                    mode="ignore",
                    partition_by=list(self.spec.partition_by),
                    description=self.spec.description,
                    configuration=(
                        {"delta.enableChangeDataFeed": "true"} if self.spec.change_feed else None
                    ),
                    storage_options=self._options,
                    # A create that is tried again lands on top of the first one, whose id, which
                    # somebody has read, is another one then.
                    commit_properties=CommitProperties(max_commit_retries=0),
                )
        except CommitConflict:
            if not self.exists():
                raise

    def _add_new_columns(self) -> None:
        known = self._versions.newest().columns
        new = [field for field in self.spec.schema if field.name not in known]
        if new:
            columns = Schema.from_arrow(pa.schema(new)).fields
            with self._commit_errors():
                self._open().alter.add_columns(columns)

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

    # -- writing ----------------------------------------------------------------------------

    def append(self, data: pa.Table, metadata: Metadata | None = None) -> int:
        """Add rows in one commit. Returns the new version; an empty table commits nothing."""
        if data.num_rows == 0:
            return self.version()
        return self._write(data, "append", None, metadata)

    def replace(
        self, data: pa.Table, where: str | None = None, metadata: Metadata | None = None
    ) -> int:
        """Replace the rows matching the SQL predicate `where` (all when None) in one commit."""
        return self._write(data, "overwrite", where, metadata)

    def merge(
        self,
        upserts: pa.Table | None = None,
        deletes: Iterable[tuple[Any, ...]] = (),
        metadata: Metadata | None = None,
    ) -> int:
        """Upsert rows and delete keys in one commit.

        Args:
            upserts: Rows of the table's schema, unique by key.
            deletes: Key tuples, in the order of `spec.keys`; unknown ones are no error.
            metadata: Kept in the commit (run id, what and why).

        Returns:
            The new version, or the current one when there was nothing to do.
        """
        gone = self._present(deletes)
        rows = upserts if upserts is not None else self.spec.schema.empty_table()
        if gone.num_rows == 0 and rows.num_rows == 0:
            return self.version()
        rows = self.conform(rows).append_column(
            "_delete", pa.array([False] * rows.num_rows, pa.bool_())
        )
        self.ensure()
        keys = gone.append_column("_delete", pa.array([True] * gone.num_rows, pa.bool_()))
        loose = pa.schema([field.with_nullable(True) for field in rows.schema])
        source = pa.concat_tables([rows.cast(loose), keys], promote_options="default").cast(loose)
        on = " AND ".join(f"t.{key} = s.{key}" for key in self.spec.keys)
        columns = {f'"{name}"': f's."{name}"' for name in self.spec.schema.names}
        table = self._open()
        with self._commit_errors():
            (
                table.merge(
                    source,
                    on,
                    source_alias="s",
                    target_alias="t",
                    writer_properties=_LAYOUT,
                    commit_properties=_properties(metadata),
                )
                .when_matched_delete("s._delete = true")
                .when_matched_update(columns, "s._delete = false")
                .when_not_matched_insert(columns, "s._delete = false")
                .execute()
            )
        return int(table.version())

    def remove(self, where: Sequence[Condition], metadata: Metadata | None = None) -> int:
        """Remove the rows of these conditions, on text columns, in one commit.

        Returns:
            The version without them; the current one when there was nothing to remove.
        """
        if not self.exists():
            return self.version()
        table = self._open()
        with self._commit_errors():
            table.delete(
                sql_predicate(where),
                writer_properties=_LAYOUT,
                commit_properties=_properties(metadata),
            )
        return int(table.version())

    def amend(
        self, column: str, value: int, where: Sequence[Condition], metadata: Metadata | None = None
    ) -> int:
        """Set a number in the rows of these conditions, on text columns, in one commit."""
        table = self._open()
        with self._commit_errors():
            table.update(
                new_values={column: value},
                predicate=sql_predicate(where),
                writer_properties=_LAYOUT,
                commit_properties=_properties(metadata),
            )
        return int(table.version())

    def conform(self, data: pa.Table) -> pa.Table:
        """The same rows in the contract's column order and types.

        Raises:
            ContractError: A column is missing, of another type, or null where it may not be.
        """
        problems = [
            f"{self.spec.name}.{name}: column is missing"
            for name in self.spec.schema.names
            if name not in data.column_names
        ]
        columns = []
        for field in self.spec.schema:
            if field.name not in data.column_names:
                continue
            column = data.column(field.name)
            try:
                column = column.cast(field.type)
            except pa.ArrowInvalid as error:
                problems.append(f"{self.spec.name}.{field.name}: {error}")
            if not field.nullable and column.null_count:
                problems.append(f"{self.spec.name}.{field.name}: {column.null_count} null(s)")
            columns.append(column)
        if problems:
            raise ContractError(f"rows for table {self.spec.name}", problems)
        return pa.table(columns, schema=self.spec.schema)

    # -- care -------------------------------------------------------------------------------

    def optimize(self) -> dict[str, Any]:
        """Compact small files. Old versions stay readable until `vacuum`."""
        return (
            dict(self._open().optimize.compact(writer_properties=_LAYOUT)) if self.exists() else {}
        )

    def vacuum(self, keep_versions: Sequence[int], retention_hours: int = 168) -> list[str]:
        """Delete files that neither the retention period nor a version in `keep_versions` needs."""
        if not self.exists():
            return []
        return list(
            self._open().vacuum(
                retention_hours=retention_hours,
                dry_run=False,
                enforce_retention_duration=False,
                keep_versions=sorted(set(keep_versions)) or None,
            )
        )

    # -- internals --------------------------------------------------------------------------

    def _present(self, keys: Iterable[tuple[Any, ...]]) -> pa.Table:
        """Those of the keys that the table has.

        delta-rs writes a row of nulls for a delete that matches nothing when the same merge
        inserts into a table with a change feed, and then refuses it.
        """
        wanted = pa.Table.from_pylist(
            [dict(zip(self.spec.keys, key, strict=True)) for key in keys],
            schema=pa.schema([self.spec.schema.field(key) for key in self.spec.keys]),
        )
        if wanted.num_rows == 0:
            return wanted
        with spilling_duckdb() as db:
            db.register("wanted", wanted)
            db.register("stored", scan(self.dataset(), self.spec.keys))
            columns = ", ".join(f'"{key}"' for key in self.spec.keys)
            found = db.sql(f"SELECT * FROM wanted SEMI JOIN stored USING ({columns})")
            return found.to_arrow_table().cast(wanted.schema)

    def _open(self) -> DeltaTable:
        with reading(self.spec.name, self.uri):
            return self._versions.open()

    def _write(
        self,
        data: pa.Table,
        mode: Literal["append", "overwrite"],
        where: str | None,
        metadata: Metadata | None,
    ) -> int:
        rows = self.conform(data)
        self.ensure()
        table = self._open()
        with self._commit_errors():
            if mode == "append":
                write_deltalake(
                    table,
                    rows,
                    mode="append",
                    writer_properties=_LAYOUT,
                    commit_properties=_properties(metadata),
                )
            else:
                write_deltalake(
                    table,
                    rows,
                    mode="overwrite",
                    predicate=where,
                    writer_properties=_LAYOUT,
                    commit_properties=_properties(metadata),
                )
        return int(table.version())

    @contextmanager
    def _commit_errors(self) -> Iterator[None]:
        try:
            yield
        except CommitFailedError as error:
            raise CommitConflict(f"table {self.spec.name}: {error}; run it again") from error
        except (DeltaError, OSError) as error:
            said = first_line(error, type(error).__name__)
            raise WriteFailed(
                f"table {self.spec.name} at {self.uri}: the storage did not take a commit, and "
                f"readers see nothing of it ({said}). Free space, or give this user the right to "
                "write there, and run this again"
            ) from error


def _properties(metadata: Metadata | None) -> CommitProperties | None:
    return CommitProperties(custom_metadata=metadata) if metadata else None
