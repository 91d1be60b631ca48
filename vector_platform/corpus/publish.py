"""Publishing the marts: what dbt built in DuckDB becomes the lake's `documents` and `relations`.

Belongs here: comparing the marts with the lake and writing the difference. Each table gets one
commit, and none when nothing differs.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa

from vector_platform.errors import TerminalError, TransientError
from vector_platform.faults import first_line
from vector_platform.lake.storage.tables import Table

if TYPE_CHECKING:
    import duckdb

# Lineage of the landing. A row that landed again unchanged keeps what the lake already says.
_LINEAGE = frozenset({"run_id", "ingested_at"})


class MartsMissing(TerminalError):
    """The DuckDB file holds no marts: dbt has not built them."""


class MartsBusy(TransientError):
    """Another process has the DuckDB file, or it is damaged."""


@dataclass(frozen=True)
class TableChange:
    """What publishing did to one table, in rows."""

    inserted: int
    changed: int
    deleted: int
    rows: int

    @property
    def any(self) -> bool:
        """Whether anything was written."""
        return bool(self.inserted or self.changed or self.deleted)


@dataclass(frozen=True)
class PublishReport:
    """What publishing did to the two marts."""

    documents: TableChange
    relations: TableChange

    @property
    def changed(self) -> bool:
        """Whether either table got a commit."""
        return self.documents.any or self.relations.any

    def facts(self) -> dict[str, int]:
        """Flat numbers for a log line or metadata, e.g. `documents_inserted`."""
        return {
            f"{table}_{name}": count
            for table, change in (("documents", self.documents), ("relations", self.relations))
            for name, count in asdict(change).items()
        }


def publish_marts(
    duckdb_path: Path, documents: Table, relations: Table, *, run_id: str
) -> PublishReport:
    """Make the lake's tables equal to the marts, one commit a table that differs.

    Rows are compared over all columns but the lineage of their landing, so publishing the same
    marts again writes nothing, and a killed publication is finished by the next.

    Args:
        duckdb_path: The file that dbt built; read only, and closed before the lake is written.
        documents: The lake's `documents`.
        relations: The lake's `relations`.
        run_id: Kept in the commits.

    Raises:
        MartsMissing: dbt has not built the marts.
        MartsBusy: dbt is writing the file now.
    """
    for table in (documents, relations):
        table.require_files()
    with _open(duckdb_path) as marts:
        differences = [(table, *_difference(marts, table)) for table in (documents, relations)]
    changes = []
    for table, upserts, gone, change in differences:
        keys = zip(*(gone.column(key).to_pylist() for key in table.spec.keys), strict=True)
        table.merge(upserts, keys, {"run_id": run_id, "what": "publish_marts"})
        changes.append(change)
    return PublishReport(*changes)


def require_free(path: Path) -> None:
    """See that dbt can write its DuckDB file, or that there is none yet.

    Raises:
        MartsBusy: Another process holds the file, or it cannot be opened.
    """
    if path.exists():
        _connect(path, read_only=False).close()


def _open(path: Path) -> duckdb.DuckDBPyConnection:
    if not path.is_file():
        raise MartsMissing(f"{path} does not exist: run dbt build first")
    connection = _connect(path, read_only=True)
    connection.execute("SET TimeZone = 'UTC'")
    return connection


def _connect(path: Path, *, read_only: bool) -> duckdb.DuckDBPyConnection:
    import duckdb

    try:
        return duckdb.connect(str(path), read_only=read_only)
    except duckdb.Error as error:
        raise MartsBusy(
            f"{path} cannot be opened: {first_line(error, type(error).__name__)}. End the process "
            "that has it. If none has, the file is damaged: delete it, dbt builds it anew from the "
            "lake"
        ) from error


def _difference(
    marts: duckdb.DuckDBPyConnection, table: Table
) -> tuple[pa.Table, pa.Table, TableChange]:
    """Rows to upsert, keys to delete, and their counts."""
    import duckdb

    name, columns = table.spec.name, table.spec.schema.names
    lake = f"lake_{name}"
    marts.register(lake, table.dataset())
    on = " AND ".join(f'm."{key}" = l."{key}"' for key in table.spec.keys)
    compared = [column for column in columns if column not in {*table.spec.keys, *_LINEAGE}]
    differs = " OR ".join(f'm."{column}" IS DISTINCT FROM l."{column}"' for column in compared)
    listed = ", ".join(f'm."{column}"' for column in columns)
    first = table.spec.keys[0]
    try:
        upserts = marts.sql(
            f'SELECT {listed}, l."{first}" IS NULL AS _new '
            f"FROM marts.{name} m LEFT JOIN {lake} l ON {on} "
            f'WHERE l."{first}" IS NULL OR {differs}'
        ).to_arrow_table()
    except duckdb.CatalogException as error:
        raise MartsMissing(f"marts.{name} is not built: run dbt build first ({error})") from error
    keys = ", ".join(f'l."{key}"' for key in table.spec.keys)
    gone = marts.sql(
        f"SELECT {keys} FROM {lake} l ANTI JOIN marts.{name} m ON {on}"
    ).to_arrow_table()
    rows = marts.sql(f"SELECT count(*) FROM marts.{name}").fetchall()[0][0]
    inserted = upserts.column("_new").to_pylist().count(True)
    change = TableChange(inserted, upserts.num_rows - inserted, gone.num_rows, rows)
    return upserts.drop_columns(["_new"]), gone, change
