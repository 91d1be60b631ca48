"""Rows of CSV and TSV, streamed.

Belongs here: the dialect of a file, its header, and what becomes of a record that is malformed.

Where the quotes of a record are wrong, nobody can tell where it ends: what looks like the next
record may be a line of its text. So nothing behind its beginning is read. A record that is only
too short or too long ends where its line ends, and the next one is read on.
"""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import IO

from vector_platform.settings import CsvDialect, ReadLimits
from vector_platform.sources.base import Notes, Reject, SourceRow
from vector_platform.sources.files.encodings import BadEncoding, TextLines
from vector_platform.sources.limits import RECORD_SHARE

_SHOWN_CHARACTERS = 500
# What else than its suffix says may stand between the cells of a file.
_DELIMITERS = (",", ";", "\t", "|")
# Spreadsheets name their delimiter in a line before the header.
_NAMED_DELIMITER = re.compile(r"sep=(.)\s*", re.IGNORECASE)


class _Malformed(Exception):
    """A record whose end cannot be told."""


def read_delimited(
    stream: IO[bytes],
    *,
    uri: str,
    is_tsv: bool,
    dialect: CsvDialect,
    encoding: str | None,
    wanted: Sequence[str],
    limits: ReadLimits,
    notes: Notes,
) -> Iterator[SourceRow | Reject]:
    """Rows of one file; empty cells are `""`.

    Args:
        stream: The file.
        uri: Lineage.
        is_tsv: Whether its suffix is that of a file with tabs, which has no quoting.
        dialect: The source's setting.
        encoding: The source's setting, where the dialect has none.
        wanted: Columns that the header must hold: they tell a delimiter that nobody has set.
        limits: How long a record may be.
        notes: Told what the file was taken for.

    Raises:
        OverLimit: A record is too long.
    """
    reading = _Delimited(stream, uri, is_tsv, dialect, encoding, wanted, limits, notes)
    try:
        yield from reading.rows()
    except BadEncoding as error:
        yield Reject(reading.place, f"bad encoding: {error}", uri=uri)
    except _Malformed as error:
        reason = (
            f"malformed csv: {error}; nothing is read from here to the end of the file, because "
            "where its next record begins cannot be told"
        )
        yield Reject(reading.place, reason, payload=reading.shown, uri=uri)


class _Delimited:
    def __init__(
        self,
        stream: IO[bytes],
        uri: str,
        is_tsv: bool,
        dialect: CsvDialect,
        encoding: str | None,
        wanted: Sequence[str],
        limits: ReadLimits,
        notes: Notes,
    ) -> None:
        # Python's own limit of 128 KiB is shorter than a long document; ours ends the search for
        # a missing closing quote before it fills the memory.
        most = RECORD_SHARE * limits.document_characters
        csv.field_size_limit(max(csv.field_size_limit(), most))
        self._uri, self._wanted, self._notes = uri, set(wanted), notes
        self._lines = TextLines(stream, encoding=dialect.encoding or encoding, limits=limits)
        self._set_delimiter = dialect.delimiter
        self._delimiter = dialect.delimiter or ("\t" if is_tsv else ",")
        self._is_quoted = dialect.quoting == "double" or (dialect.quoting is None and not is_tsv)
        self._is_quoting_set = dialect.quoting is not None
        self._given = dialect.header
        self._header: list[str] = []
        self._names: list[str] = []
        self._last = 0  # Number of the last column that has a name.
        self.place = f"{uri}:1"

    @property
    def shown(self) -> str:
        """The beginning of the record that was read last."""
        return self._lines.record[:_SHOWN_CHARACTERS]

    def rows(self) -> Iterator[SourceRow | Reject]:
        """Rows and rejects.

        Raises:
            _Malformed: Of the record at `place` and all behind it.
            BadEncoding: Likewise.
        """
        first = self._first()
        if first is None:
            return
        header = list(self._given or first)
        if reason := self._header_problem(header):
            yield Reject(self.place, reason, payload=self.shown, uri=self._uri)
            return
        self._header = header
        self._names = [name for name in header if name.strip()]
        self._last = max((at for at, name in enumerate(header, 1) if name.strip()), default=0)
        if unnamed := len(header) - len(self._names):
            self._notes.add(f"{unnamed} column(s) without a name left out", self.place)
        record: list[str] | None = first
        if self._given is not None and record == header:
            self._notes.add("the first line repeats the names of `csv.header`", self.place)
            record = self._record()
        elif self._given is None:
            record = self._record()
        while record is not None:
            yield self._row(record)
            record = self._record()

    def _header_problem(self, header: list[str]) -> str | None:
        if problem := self._lines.is_bad or self._lines.nul_problem(self._lines.record):
            return f"bad encoding: {problem}"
        names = Counter(name for name in header if name.strip())
        twice = next((name for name, times in names.items() if times > 1), None)
        return twice and f"malformed csv: the header names column {twice!r:.60} twice"

    def _row(self, record: list[str]) -> SourceRow | Reject:
        reason = None
        if self._lines.is_bad is not None:
            reason = f"bad encoding: {self._lines.is_bad}"
        elif len(record) != len(self._header) or len(self._names) < len(self._header):
            record, reason = self._fitted(record)
        if reason is not None:
            return Reject(self.place, reason, payload=self.shown, uri=self._uri)
        if not self._is_quoted and not self._is_quoting_set and '"' in self._lines.record:
            self._look_for_quotes(record)
        values = dict(zip(self._header, record, strict=True))
        if len(self._names) < len(self._header):
            values = {name: values[name] for name in self._names}
        return SourceRow(values, self.place, self._uri)

    def _fitted(self, record: list[str]) -> tuple[list[str], str | None]:
        """A record with as many cells as the header; behind the last name all must be empty.

        What stands there may be what a delimiter within a text has cut off.
        """
        width, given = len(self._header), len(record)
        if given < self._last or any(record[width:]):
            return record, f"ragged row: {given} cells under {width} column names"
        if given > width:
            self._notes.add("empty cells behind the last column left out", self.place)
        for number, cell in enumerate(record[self._last : width], self._last + 1):
            if cell.strip():
                return record, f"ragged row: cell {number} stands under no column name"
        return record[:width] + [""] * (width - given), None

    def _look_for_quotes(self, record: list[str]) -> None:
        if any(len(cell) > 1 and cell[0] == cell[-1] == '"' for cell in record):
            self._notes.add(
                "cells in quotes are taken as they are; set `csv: {quoting: double}` if the "
                "quotes are not text",
                self.place,
            )

    def _first(self) -> list[str] | None:
        """The first record: a header, unless names are given. Settles the delimiter."""
        line = self._line()
        if line is not None and (found := _NAMED_DELIMITER.fullmatch(line)):
            self._delimiter = self._set_delimiter or found[1]
            line = self._line()
        elif line is not None and self._set_delimiter is None and self._given is None:
            self._delimiter = self._told(line)
        return None if line is None else self._split(line)

    def _told(self, header: str) -> str:
        """The delimiter under which a header holds the mapped columns; the suffix's in doubt."""
        told = [
            delimiter
            for delimiter in (self._delimiter, *_DELIMITERS)
            if self._wanted <= set(self._cells(header, delimiter))
        ]
        if not told or told[0] == self._delimiter or len(told) > 1:
            return self._delimiter
        self._notes.add(f"the delimiter is {told[0]!r}, as the header tells", self.place)
        return told[0]

    def _cells(self, line: str, delimiter: str) -> list[str]:
        if not self._is_quoted or '"' not in line:
            return line.rstrip("\r\n").split(delimiter)
        try:
            return next(csv.reader([line], delimiter=delimiter, strict=True))
        except csv.Error:
            return []

    def _record(self) -> list[str] | None:
        """The next record; None at the end."""
        line = self._line()
        return None if line is None else self._split(line)

    def _line(self) -> str | None:
        """The first line of the next record, over empty lines; None at the end."""
        while True:
            self._lines.begin_record()
            self.place = f"{self._uri}:{self._lines.number + 1}"
            line = next(self._lines, None)
            if line is None or line.strip("\r\n"):
                return line

    def _split(self, line: str) -> list[str]:
        """The cells of a record that begins with a line; reads on where it goes on.

        Raises:
            _Malformed: Its end cannot be told.
        """
        if not self._is_quoted:
            return line.rstrip("\r\n").split(self._delimiter)
        reader = csv.reader(self._with_following(line), delimiter=self._delimiter, strict=True)
        try:
            record = next(reader)
        except csv.Error as error:
            raise _Malformed(f"{error} (line {self._lines.number})") from None
        if any(cell[:1].isspace() and cell.lstrip()[:1] == '"' for cell in record):
            spaced = rf'(?:^|{re.escape(self._delimiter)})[ \t]+"(?!")'
            if re.search(spaced, self._lines.record):
                raise _Malformed(f"a space before a quote (line {self._lines.number})")
        return record

    def _with_following(self, line: str) -> Iterator[str]:
        yield line
        yield from self._lines
