"""Rows of CSV, JSONL and Parquet, streamed.

Belongs here: three formats that hold one row a record. A record that cannot be read is a reject
with its line; the rest of the file is read on.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from typing import IO, Any

from vector_platform.settings import ReadLimits
from vector_platform.sources.base import Reject, SourceRow
from vector_platform.sources.landing.payload import is_unicode
from vector_platform.sources.limits import RECORD_SHARE, check_unpacked, too_long

# Rows that are decoded at a time: together they may be as large as so many of the largest value.
_PARQUET_BATCH_ROWS = 256
_SHOWN_CHARACTERS = 500


def read_csv(
    stream: IO[bytes], *, uri: str, separator: str, limits: ReadLimits
) -> Iterator[SourceRow | Reject]:
    """Rows of a CSV file with a header, UTF-8 (with or without a mark); empty cells are `""`."""
    # Python's own limit of 128 KiB is shorter than a long document; ours ends the search for a
    # missing closing quote before it fills the memory.
    csv.field_size_limit(max(csv.field_size_limit(), RECORD_SHARE * limits.document_characters))
    # Bytes that are not UTF-8 become surrogates, so that only their row is lost.
    text = io.TextIOWrapper(stream, "utf-8-sig", errors="surrogateescape", newline="")
    lines = _Lines(text, limits)
    reader = csv.reader(lines, delimiter=separator, strict=True)
    header: list[str] | None = None
    while True:
        place = f"{uri}:{reader.line_num + 1}"
        lines.begin_record()
        try:
            record = next(reader, None)
        except csv.Error as error:
            yield Reject(place, f"malformed csv: {error}", uri=uri)
            if header is None:
                return
            continue
        if record is None:
            return
        if not record:
            continue
        reason = _record_problem(record, header)
        if reason is not None:
            shown = separator.join(record)[:_SHOWN_CHARACTERS]
            yield Reject(place, reason, payload=shown, uri=uri)
            if header is None:
                return
        elif header is None:
            header = record
        else:
            yield SourceRow(dict(zip(header, record, strict=True)), place, uri)


def _record_problem(record: list[str], header: list[str] | None) -> str | None:
    if not all(map(is_unicode, record)):
        return "bad encoding: not UTF-8"
    if header is None:
        if len(set(record)) < len(record):
            return "malformed csv: the header names a column twice"
        return None
    if len(record) != len(header):
        return f"ragged row: {len(record)} cells under {len(header)} column names"
    return None


class _Lines:
    """Lines of a text, as long as those of one record are not too long together."""

    def __init__(self, text: io.TextIOWrapper, limits: ReadLimits) -> None:
        self._text, self._limits = text, limits
        self._most = RECORD_SHARE * limits.document_characters
        self._left = self._most

    def begin_record(self) -> None:
        self._left = self._most

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        line = self._text.readline(self._left + 1)
        if not line:
            raise StopIteration
        self._left -= len(line)
        if self._left < 0:
            raise too_long("a record", self._limits, share=RECORD_SHARE)
        return line


def _json_lines(stream: IO[bytes], most: int) -> Iterator[bytes | None]:
    """Lines; None for one of more than `most` bytes, which is read over."""
    while line := stream.readline(most + 1):
        if len(line) <= most:
            yield line
            continue
        while line and not line.endswith(b"\n"):
            line = stream.readline(most)
        yield None


def read_jsonl(stream: IO[bytes], *, uri: str, limits: ReadLimits) -> Iterator[SourceRow | Reject]:
    """One JSON object a line, UTF-8 (with or without a mark); empty lines are skipped."""
    most = RECORD_SHARE * limits.document_characters
    for number, line in enumerate(_json_lines(stream, most), start=1):
        place = f"{uri}:{number}"
        if line is None:
            reason = str(too_long("a record", limits, share=RECORD_SHARE))
            yield Reject(place, reason, uri=uri)
            continue
        content = line.removeprefix(b"\xef\xbb\xbf") if number == 1 else line
        if not content.strip():
            continue
        try:
            text = content.decode()
        except UnicodeDecodeError as error:
            yield Reject(place, f"bad encoding: not UTF-8 ({error.reason})", uri=uri)
            continue
        shown = text.strip()[:_SHOWN_CHARACTERS]
        try:
            value: Any = json.loads(text)
        except (ValueError, RecursionError) as error:
            yield Reject(place, f"malformed json: {error}", payload=shown, uri=uri)
            continue
        if isinstance(value, dict):
            yield SourceRow(value, place, uri)
        else:
            reason = f"malformed json: {type(value).__name__}, not an object"
            yield Reject(place, reason, payload=shown, uri=uri)


def read_parquet(
    stream: IO[bytes], *, uri: str, limits: ReadLimits
) -> Iterator[SourceRow | Reject]:
    """Rows of a Parquet file; `place` is the number of the row."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    number = 0
    try:
        file = pq.ParquetFile(stream)
        unpacked = 0
        for batch in file.iter_batches(batch_size=_PARQUET_BATCH_ROWS):
            unpacked += batch.nbytes
            check_unpacked(unpacked, unpacked, limits)
            for found in _parquet_rows(batch, uri, number):
                number += 1
                yield found
    except (pa.ArrowException, OSError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise
        # Arrow reports a damaged page as an OSError without a number.
        yield Reject(f"{uri}#{number + 1}", f"unreadable file: {error}", uri=uri)


def _parquet_rows(batch: Any, uri: str, before: int) -> Iterator[SourceRow | Reject]:
    try:
        for number, values in enumerate(batch.to_pylist(), start=before + 1):
            yield SourceRow(values, f"{uri}#{number}", uri)
        return
    except (ValueError, OverflowError):
        # Some value of these rows has no form in Python: a time beyond the year 9999, or text that
        # is not UTF-8. Only its row is lost.
        pass
    for index in range(batch.num_rows):
        place, values = f"{uri}#{before + index + 1}", {}
        try:
            for name, column in zip(batch.schema.names, batch.columns, strict=True):
                values[name] = column[index].as_py()
        except (ValueError, OverflowError) as error:
            yield Reject(place, f"not representable: column {name!r}: {error}", uri=uri)
        else:
            yield SourceRow(values, place, uri)
