"""One Delta table: create, write in one commit, compact.

Belongs here: all that changes a table. Every write is one Delta commit, so a reader sees all of it
or none. A commit that loses a race is retried by delta-rs and, when it truly conflicts, raised as
`CommitConflict`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Literal

import pyarrow as pa
from deltalake import CommitProperties, DeltaTable, Schema, write_deltalake

from vector_platform.errors import ContractError
from vector_platform.lake.storage.commits import (
    LAYOUT,
    Append,
    CommitConflict,
    Decided,
    Metadata,
    committing,
    properties,
)
from vector_platform.lake.storage.conditions import Condition, sql_predicate
from vector_platform.lake.storage.joins import scan, spilling_duckdb
from vector_platform.lake.storage.table_reader import TableReader


class Table(TableReader):
    """A Delta table of the contract. Every read sees the newest version."""

    def ensure(self) -> None:
        """Create the table when it does not exist; add columns the contract has gained since.

        Of processes that create it at once, one does, and the others have what it made.
        """
        if self.exists():
            self._add_new_columns()
            return
        try:
            with committing(self.spec, self.uri):
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
            with committing(self.spec, self.uri):
                self._open().alter.add_columns(columns)

    # -- writing ----------------------------------------------------------------------------

    def append(
        self,
        data: pa.Table,
        metadata: Metadata | None = None,
        *,
        decided: Decided | None = None,
    ) -> int:
        """Add rows in one commit. Returns the new version; an empty table commits nothing.

        Args:
            data: The rows.
            metadata: Kept in the commit.
            decided: What made them new; without it they are added to whatever is there.

        Raises:
            CommitConflict: The same writer has committed since the version that was decided by.
        """
        if data.num_rows == 0:
            return self.version()
        return self._write(data, "append", None, metadata, decided)

    def appender(self, writer: str, metadata: Metadata | None = None) -> Append:
        """Appends rows, commit by commit, that are found to be missing from now on.

        A lock keeps two writers of a machine apart. One of another machine may find the same rows
        missing: of the two, the second to commit is refused, and finds them when it looks again.

        Args:
            writer: What one at a time writes, such as the vectors of a model version. Others may
                write to the table meanwhile.
            metadata: Kept in each commit.

        Returns:
            Takes the next rows; raises `CommitConflict` where another has been first.
        """
        version = self.version()

        def append(rows: pa.Table, also: Metadata | None = None) -> None:
            nonlocal version
            if rows.num_rows:
                kept = {**(metadata or {}), **(also or {})}
                version = self.append(rows, kept, decided=Decided(writer, version))

        return append

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
        with committing(self.spec, self.uri):
            (
                table.merge(
                    source,
                    on,
                    source_alias="s",
                    target_alias="t",
                    writer_properties=LAYOUT,
                    commit_properties=properties(metadata),
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
        with committing(self.spec, self.uri):
            table.delete(
                sql_predicate(where),
                writer_properties=LAYOUT,
                commit_properties=properties(metadata),
            )
        return int(table.version())

    def amend(
        self, column: str, value: int, where: Sequence[Condition], metadata: Metadata | None = None
    ) -> int:
        """Set a number in the rows of these conditions, on text columns, in one commit."""
        table = self._open()
        with committing(self.spec, self.uri):
            table.update(
                new_values={column: value},
                predicate=sql_predicate(where),
                writer_properties=LAYOUT,
                commit_properties=properties(metadata),
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
            dict(self._open().optimize.compact(writer_properties=LAYOUT)) if self.exists() else {}
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

    def _write(
        self,
        data: pa.Table,
        mode: Literal["append", "overwrite"],
        where: str | None,
        metadata: Metadata | None,
        decided: Decided | None = None,
    ) -> int:
        rows = self.conform(data)
        self.ensure()
        # A table is made empty, as version 0.
        table = self._open(None if decided is None else max(decided.version, 0))
        with committing(self.spec, self.uri):
            if mode == "append":
                write_deltalake(
                    table,
                    rows,
                    mode="append",
                    writer_properties=LAYOUT,
                    commit_properties=properties(metadata, decided),
                )
            else:
                write_deltalake(
                    table,
                    rows,
                    mode="overwrite",
                    predicate=where,
                    writer_properties=LAYOUT,
                    commit_properties=properties(metadata),
                )
        return int(table.version())
