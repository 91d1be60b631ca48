"""A Delta table at a version: opened once, and kept for as long as its log bears it out.

Belongs here: opening through delta-rs, and when what was opened may be used again.

Opening replays the log: 4 ms for ten commits, 20 ms for sixty, and one release reads the same
small tables hundreds of times. On a local disk two looks at the log say whether what was opened
still holds, because a commit is a file named by its version that is never written again. In an
object store every read opens anew.
"""

from __future__ import annotations

from pathlib import Path
from urllib.parse import unquote, urlsplit

import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.fs as fs
from deltalake import DeltaTable

from vector_platform.lake.contract import TableSpec
from vector_platform.lake.storage.fragments import described

# Versions kept: the newest, and those that the snapshots of a few generations name.
KEPT = 4

# What tells a commit's file from another of the same name, in a table that was made anew.
_Mark = tuple[int, int, int]


class CachedTable:
    """A table at one version. Nothing in it changes, so threads may share it.

    Attributes:
        table_id: Delta's id of the table.
        version: Delta's version.
        columns: Names of the columns the table has.
    """

    def __init__(self, table: DeltaTable, uri: str, spec: TableSpec) -> None:
        self._table = table
        self._uri = uri
        self._spec = spec
        self._files: ds.Dataset | None = None
        self.table_id = str(table.metadata().id)
        self.version = int(table.version())
        self.columns = frozenset(field.name for field in table.schema().fields)

    @property
    def files(self) -> ds.Dataset:
        """All its rows, as files with the ranges of their keys."""
        if self._files is None:
            files = self._table.to_pyarrow_dataset(filesystem=_file_system(self._uri))
            if isinstance(files, ds.FileSystemDataset) and files.files:
                actions = pa.table(self._table.get_add_actions(flatten=True))
                self._files = described(files, actions, self._spec)
            else:
                self._files = ds.dataset(self._spec.schema.empty_table())
        return self._files


class Versions:
    """The versions of one table. What it returns is what the log says at the time of the call."""

    def __init__(self, spec: TableSpec, uri: str, storage_options: dict[str, str] | None) -> None:
        self._spec = spec
        self._uri = uri
        self._options = storage_options
        path = _local_path(uri)
        self._log = path / "_delta_log" if path else None
        self._kept: dict[int, tuple[_Mark, CachedTable]] = {}
        self._newest = -1

    def exist(self) -> bool:
        """Whether the table has been created."""
        if self._known(self._newest) is not None:
            return True
        return bool(DeltaTable.is_deltatable(self._uri, storage_options=self._options))

    def open(self, version: int | None = None) -> DeltaTable:
        """A handle of one's own, to write with.

        Raises:
            TableNotFoundError: There is no such table.
        """
        return DeltaTable(self._uri, version=version, storage_options=self._options)

    def newest(self) -> CachedTable:
        """The newest version.

        Raises:
            TableNotFoundError: There is no such table.
        """
        if self._newest >= 0 and self._mark(self._newest + 1) is None:
            known = self._known(self._newest)
            if known is not None:
                return known
        opened = self._opened(None)
        self._newest = opened.version
        return opened

    def at(self, version: int) -> CachedTable:
        """An older version, or the newest by its number.

        Raises:
            TableNotFoundError: There is no such table.
        """
        return self._known(version) or self._opened(version)

    def _known(self, version: int) -> CachedTable | None:
        mark, opened = self._kept.get(version, (None, None))
        return opened if mark is not None and mark == self._mark(version) else None

    def _opened(self, version: int | None) -> CachedTable:
        opened = CachedTable(self.open(version), self._uri, self._spec)
        mark = self._mark(opened.version)
        if mark is not None:
            self._kept.pop(opened.version, None)
            self._kept[opened.version] = (mark, opened)
            for oldest in list(self._kept)[:-KEPT]:
                self._kept.pop(oldest, None)
        return opened

    def _mark(self, version: int) -> _Mark | None:
        if self._log is None:
            return None
        try:
            found = (self._log / f"{version:020}.json").stat()
        except FileNotFoundError:  # not committed, or tidied up behind a checkpoint
            return None
        return found.st_ino, found.st_mtime_ns, found.st_size


def _local_path(uri: str) -> Path | None:
    if "://" in uri and not uri.startswith("file://"):
        return None
    return Path(unquote(urlsplit(uri).path) if uri.startswith("file://") else uri).absolute()


def _file_system(uri: str) -> fs.FileSystem | None:
    """Arrow's own file system for a table on local disk; None for delta-rs's.

    Reads through delta-rs's file system call Python from Arrow's threads. One that lets go of
    its file while the interpreter ends aborts the process, after all work was done.
    """
    path = _local_path(uri)
    return fs.SubTreeFileSystem(str(path), fs.LocalFileSystem()) if path else None
