"""Files on a local path, a glob, or any fsspec URL.

Belongs here: finding the files, choosing a reader by their suffix, and telling a file that cannot
be read (a reject) from a place that cannot be reached (an error).
"""

from __future__ import annotations

import gzip
import lzma
import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import islice
from pathlib import Path, PurePosixPath
from typing import Any, Literal

from vector_platform.settings import FilesSource
from vector_platform.sources.base import (
    DayWindow,
    Look,
    Reject,
    Source,
    SourceInvalid,
    SourceRow,
    SourceUnreachable,
)
from vector_platform.sources.files.conversion import Converter
from vector_platform.sources.files.documents import (
    DOCUMENT_COLUMNS,
    DOCUMENT_SUFFIXES,
    modified_at,
    read_document,
)
from vector_platform.sources.files.look import FILES, look_at
from vector_platform.sources.files.tabular import read_csv, read_jsonl, read_parquet
from vector_platform.sources.limits import OverLimit, open_bounded

Format = Literal["csv", "jsonl", "parquet", "document"]

_SUFFIXES: dict[str, Format] = {
    ".csv": "csv",
    ".tsv": "csv",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".parquet": "parquet",
    **dict.fromkeys(DOCUMENT_SUFFIXES, "document"),
}
_COMPRESSIONS = {".gz", ".bz2", ".xz"}
# One file cannot be read, as opposed to: the place does not answer.
_FILE_ERRORS = (
    FileNotFoundError,
    PermissionError,
    IsADirectoryError,
    gzip.BadGzipFile,
    lzma.LZMAError,
    zlib.error,
    EOFError,
)


@dataclass(frozen=True)
class FoundFile:
    """A file of the source.

    Attributes:
        path: What the file system calls it.
        relative: Below the configured folder; the key of a document.
        uri: Lineage: relative to the folder of `platform.yaml` where it lies below it.
        info: What the file system says about it.
    """

    path: str
    relative: str
    uri: str
    info: dict[str, Any]

    @property
    def suffix(self) -> str:
        """The suffix that tells the format, in lower case, without a compression's."""
        suffixes = [suffix.lower() for suffix in PurePosixPath(self.path).suffixes]
        if len(suffixes) > 1 and suffixes[-1] in _COMPRESSIONS:
            suffixes.pop()
        return suffixes[-1] if suffixes else ""


class FilesReader(Source):
    """Rows of CSV, JSONL and Parquet files, and whole documents, one a file.

    A folder gives every file below it whose format is known; hidden ones and others are left out.
    A path or glob gives exactly what it names.
    """

    def __init__(self, name: str, spec: FilesSource, root: Path) -> None:
        self.name = name
        self._spec = spec
        self._root = root.resolve()

    def read(self, window: DayWindow) -> Iterator[SourceRow | Reject]:
        """Stream the rows of all files, in the order of their paths.

        Raises:
            SourceUnreachable: The folder or file does not exist, or the store does not answer.
        """
        system, files = self._find()
        with Converter(self._spec.limits) as converter:
            for file in files:
                yield from self._read_or_refuse(system, file, converter)

    def _read_or_refuse(
        self, system: Any, file: FoundFile, converter: Converter
    ) -> Iterator[SourceRow | Reject]:
        try:
            yield from self._read_file(system, file, converter)
        except OverLimit as error:
            yield self._refuse(file, str(error))
        except (*_FILE_ERRORS, OSError) as error:
            # An error of the system has a number; a damaged archive's, and Arrow's, none.
            if not isinstance(error, _FILE_ERRORS) and getattr(error, "errno", None):
                raise
            said = error.strerror if isinstance(error, OSError) else None
            what = f"unreadable file: {type(error).__name__}: {said or error}"
            yield self._refuse(file, what)

    def look(self, *, connect: bool) -> Look:
        """The columns of the first rows of the first files, and the size of all.

        Another file system than that of this machine is asked with `connect` only.
        """
        if not connect and self._is_remote():
            return Look()
        system, files = self._find()
        with Converter(self._spec.limits) as converter:
            seen = ((self._rows(system, file, converter), self._is_uniform(file)) for file in files)
            return look_at(
                islice(seen, FILES),
                every_file=len(files) <= FILES,
                size_bytes=sum(file.info.get("size") or 0 for file in files),
            )

    def _rows(
        self, system: Any, file: FoundFile, converter: Converter
    ) -> Iterator[SourceRow | Reject]:
        """The rows of a file; of a whole document, only its columns are of interest."""
        if self._format(file) == "document":
            return iter([SourceRow(dict.fromkeys(DOCUMENT_COLUMNS), file.uri, file.uri)])
        return self._read_or_refuse(system, file, converter)

    def _is_uniform(self, file: FoundFile) -> bool:
        return self._format(file) != "jsonl"

    def _is_remote(self) -> bool:
        path = self._spec.path
        return "://" in path and not path.startswith(("file://", "local://"))

    def _refuse(self, file: FoundFile, reason: str) -> Reject:
        """A reject of a whole file, or of what is left of it."""
        key = file.relative if self._is_document(file) else None
        return Reject(place=file.uri, reason=reason, key=key, uri=file.uri)

    def _is_document(self, file: FoundFile) -> bool:
        return self._format(file) == "document" and self._spec.fields.key == "path"

    def newest(self) -> datetime | None:
        """When the newest file was written; None without files, or where nobody knows.

        Raises:
            SourceUnreachable: As in `read`.
        """
        _, files = self._find()
        return max(filter(None, (modified_at(file.info) for file in files)), default=None)

    def _format(self, file: FoundFile) -> Format | None:
        if self._spec.format != "auto":
            return self._spec.format
        return _SUFFIXES.get(file.suffix)

    def _read_file(
        self, system: Any, file: FoundFile, converter: Converter
    ) -> Iterator[SourceRow | Reject]:
        kind = self._format(file)
        if kind is None:
            known = " ".join(sorted(_SUFFIXES))
            yield Reject(
                place=file.uri,
                reason=f"unknown format: suffix {file.suffix!r} is none of {known}; set format",
                uri=file.uri,
            )
            return
        limits = self._spec.limits
        with open_bounded(system, file.path, file.info, limits) as stream:
            if kind == "csv":
                separator = "\t" if file.suffix == ".tsv" else ","
                yield from read_csv(stream, uri=file.uri, separator=separator, limits=limits)
            elif kind == "jsonl":
                yield from read_jsonl(stream, uri=file.uri, limits=limits)
            elif kind == "parquet":
                yield from read_parquet(stream, uri=file.uri, limits=limits)
            else:
                found = read_document(
                    stream,
                    relative=file.relative,
                    suffix=file.suffix,
                    uri=file.uri,
                    info=file.info,
                    limits=limits,
                    converter=converter,
                )
                if isinstance(found, Reject) and self._is_document(file):
                    found = replace(found, key=file.relative)
                yield found

    # -- finding ----------------------------------------------------------------------------

    def _find(self) -> tuple[Any, list[FoundFile]]:
        import fsspec

        try:
            system, pattern = fsspec.core.url_to_fs(self._location())
            return system, list(self._list(system, pattern.rstrip("/") or "/"))
        except SourceUnreachable:
            raise
        except (ImportError, ValueError) as error:
            # No such protocol, or its client is not installed: fsspec says which.
            raise SourceInvalid(self.name, f"path: {error}") from error
        except Exception as error:
            # fsspec's stores raise errors of their own client libraries.
            what = f"{_without_user(self._spec.path)}: {type(error).__name__}: {error}"
            raise SourceUnreachable(self.name, what) from None

    def _location(self) -> str:
        path = self._spec.path
        if "://" in path or "::" in path:
            return path
        return str(self._root / Path(path).expanduser())

    def _list(self, system: Any, pattern: str) -> Iterator[FoundFile]:
        if re.search(r"[*?\[]", pattern):
            base = re.split(r"[*?\[]", pattern)[0].rpartition("/")[0]
            if not system.exists(base or "/"):
                raise SourceUnreachable(self.name, f"no such folder: {self._spec.path}")
            found = system.glob(pattern, detail=True)
        elif system.isdir(pattern):
            base = pattern
            found = {
                path: info
                for path, info in system.find(pattern, detail=True).items()
                if self._is_wanted(path, pattern)
            }
        elif system.exists(pattern):
            base = pattern.rpartition("/")[0]
            found = {pattern: system.info(pattern)}
        else:
            raise SourceUnreachable(self.name, f"no such file or folder: {self._spec.path}")
        for path in sorted(found):
            if found[path].get("type") != "directory":
                relative = path.removeprefix(base).lstrip("/")
                yield FoundFile(path, relative, self._uri(system, path), found[path])

    def _is_wanted(self, path: str, folder: str) -> bool:
        below = PurePosixPath(path.removeprefix(folder).lstrip("/"))
        hidden = any(part.startswith(".") for part in below.parts)
        file = FoundFile(path, str(below), "", {})
        return not hidden and (self._spec.format != "auto" or file.suffix in _SUFFIXES)

    def _uri(self, system: Any, path: str) -> str:
        from fsspec.implementations.local import LocalFileSystem

        if not isinstance(system, LocalFileSystem):
            return _without_user(str(system.unstrip_protocol(path)))
        local = Path(path)
        return (
            local.relative_to(self._root).as_posix()
            if local.is_relative_to(self._root)
            else local.as_posix()
        )


def _without_user(url: str) -> str:
    """A URL without `user:password@`."""
    return re.sub(r"(?<=://)[^/@]*@", "", url)
