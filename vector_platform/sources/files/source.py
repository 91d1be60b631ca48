"""Files on a local path, a glob, or any fsspec URL.

Belongs here: choosing a reader by a file's suffix, and telling a file that cannot be read (a
reject) from a place that cannot be reached (an error).
"""

from __future__ import annotations

import errno
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import Any, Literal

from vector_platform.settings import FilesSource
from vector_platform.sources.base import (
    DayWindow,
    Look,
    Notes,
    Reject,
    Source,
    SourceRow,
    SourceUnreachable,
)
from vector_platform.sources.files.conversion import Converter
from vector_platform.sources.files.delimited import read_delimited
from vector_platform.sources.files.documents import (
    DOCUMENT_COLUMNS,
    DOCUMENT_SUFFIXES,
    modified_at,
    read_document,
)
from vector_platform.sources.files.finding import Found, FoundFile, find, said, without_user
from vector_platform.sources.files.jsonlines import read_jsonl
from vector_platform.sources.files.look import FILES, look_at
from vector_platform.sources.files.parquet import read_parquet
from vector_platform.sources.limits import OverLimit, StoreFailed, UnknownPacking, open_bounded

Format = Literal["csv", "jsonl", "parquet", "document"]

_SUFFIXES: dict[str, Format] = {
    ".csv": "csv",
    ".tsv": "csv",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".parquet": "parquet",
    **dict.fromkeys(DOCUMENT_SUFFIXES, "document"),
}
# The machine is in trouble, and not the file that happened to be read.
_MACHINE = {errno.ENOSPC, errno.EDQUOT, errno.EMFILE, errno.ENFILE, errno.ENOMEM}


class FilesReader(Source):
    """Rows of CSV, JSONL and Parquet files, and whole documents, one a file.

    A folder gives every file below it whose format is known; hidden ones and others are left out.
    A path or glob gives exactly what it names.
    """

    def __init__(self, name: str, spec: FilesSource, root: Path) -> None:
        self.name = name
        self._spec = spec
        self._root = root.resolve()
        self._notes = Notes()

    def read(self, window: DayWindow) -> Iterator[SourceRow | Reject]:
        """Stream the rows of all files, in the order of their paths.

        Raises:
            SourceUnreachable: The path names no file, or the store does not answer.
        """
        found = self._found()
        yield from found.troubles
        with Converter(self._spec.limits) as converter:
            for file in found.files:
                yield from self._read_or_refuse(found.system, file, converter)

    def _read_or_refuse(
        self, system: Any, file: FoundFile, converter: Converter
    ) -> Iterator[SourceRow | Reject]:
        try:
            yield from self._read_file(system, file, converter)
        except OverLimit as error:
            yield self._refuse(file, str(error))
        except UnknownPacking as error:
            yield self._refuse(file, f"unreadable file: {error}")
        except StoreFailed as error:
            raise SourceUnreachable(self.name, f"{file.uri}: {without_user(str(error))}") from None
        except Exception as error:
            # Parsers of broken files raise whatever they stumble over.
            if isinstance(error, OSError) and error.errno in _MACHINE:
                raise
            yield self._refuse(file, f"unreadable file: {said(error)}")

    def look(self, *, connect: bool) -> Look:
        """The columns of the first rows of the first files, and the size of all.

        Another file system than that of this machine is asked with `connect` only.
        """
        if not connect and self._is_remote():
            return Look()
        found = self._found()
        with Converter(self._spec.limits) as converter:
            seen = (
                (self._rows(found.system, file, converter), self._is_uniform(file))
                for file in found.files
            )
            return look_at(
                islice(seen, FILES),
                every_file=len(found.files) <= FILES,
                size_bytes=sum(file.info.get("size") or 0 for file in found.files),
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

    def notes(self) -> list[str]:
        """What the files were taken for, and what of them was left out."""
        return self._notes.lines()

    def newest(self) -> datetime | None:
        """When the newest file was written; None without files, or where nobody knows.

        Raises:
            SourceUnreachable: There is no such place, or it does not answer.
        """
        files = self._find().files
        return max(filter(None, (modified_at(file.info) for file in files)), default=None)

    def _find(self) -> Found:
        def is_known(suffix: str) -> bool:
            return self._spec.format != "auto" or suffix in _SUFFIXES

        return find(self.name, self._spec.path, self._root, is_known)

    def _found(self) -> Found:
        """What the path names, which must be something."""
        found = self._find()
        self._notes = found.notes
        if not found.files and not found.troubles:
            left_out = "".join(f"; {line}" for line in found.notes.lines())
            why = (
                f"{without_user(self._spec.path)} names no file that is read{left_out}. What has "
                "landed stays: to take all of it away, leave one file without a row, such as an "
                "empty .jsonl"
            )
            raise SourceUnreachable(self.name, why)
        return found

    def _refuse(self, file: FoundFile, reason: str) -> Reject:
        """A reject of a whole file, or of what is left of it."""
        key = file.relative if self._is_document(file) else None
        return Reject(place=file.uri, reason=reason, key=key, uri=file.uri)

    def _is_document(self, file: FoundFile) -> bool:
        return self._format(file) == "document" and self._spec.fields.key == "path"

    def _format(self, file: FoundFile) -> Format | None:
        if self._spec.format != "auto":
            return self._spec.format
        return _SUFFIXES.get(file.suffix)

    def _read_file(
        self, system: Any, file: FoundFile, converter: Converter
    ) -> Iterator[SourceRow | Reject]:
        kind = self._format(file)
        if file.problem is not None:
            yield self._refuse(file, f"unreadable file: {file.problem}")
            return
        if kind is None:
            known = " ".join(sorted(_SUFFIXES))
            yield self._refuse(
                file, f"unknown format: suffix {file.suffix!r} is none of {known}; set format"
            )
            return
        limits, encoding, uri = self._spec.limits, self._spec.encoding, file.uri
        with open_bounded(system, file.path, file.info, limits) as stream:
            if kind == "csv":
                yield from read_delimited(
                    stream,
                    uri=uri,
                    is_tsv=file.suffix == ".tsv",
                    dialect=self._spec.csv,
                    encoding=encoding,
                    wanted=self._spec.fields.telling_columns,
                    limits=limits,
                    notes=self._notes,
                )
            elif kind == "jsonl":
                yield from read_jsonl(stream, uri=uri, encoding=encoding, limits=limits)
            elif kind == "parquet":
                mapped = self._spec.fields.columns
                yield from read_parquet(
                    stream, uri=uri, mapped=mapped, limits=limits, notes=self._notes
                )
            else:
                found = read_document(
                    stream,
                    relative=file.relative,
                    suffix=file.suffix,
                    uri=uri,
                    info=file.info,
                    encoding=encoding,
                    limits=limits,
                    converter=converter,
                )
                if isinstance(found, Reject) and self._is_document(file):
                    found = replace(found, key=file.relative)
                yield found
