"""Rows of CSV, JSONL and Parquet, streamed.

Belongs here: three formats that hold one row a record. Does not belong here: finding files
(`files.py`) or judging values (`rows.py`). A record that cannot be read is a reject with its
line; the rest of the file is read on.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from typing import IO, Any

from vector_platform.sources.base import Reject, SourceRow
from vector_platform.sources.payload import is_unicode

# Python's own limit of 128 KiB is shorter than a long document; this one still ends the search
# for a missing closing quote before it fills the memory.
_MAX_CELL_CHARACTERS = 64 * 1024 * 1024
_PARQUET_BATCH_ROWS = 1024
_SHOWN_CHARACTERS = 500


def read_csv(stream: IO[bytes], *, uri: str, separator: str) -> Iterator[SourceRow | Reject]:
    """Rows of a CSV file with a header, UTF-8 (with or without a mark); empty cells are `""`."""
    csv.field_size_limit(max(csv.field_size_limit(), _MAX_CELL_CHARACTERS))
    # Bytes that are not UTF-8 become surrogates, so that only their row is lost.
    text = io.TextIOWrapper(stream, "utf-8-sig", errors="surrogateescape", newline="")
    reader = csv.reader(text, delimiter=separator, strict=True)
    header: list[str] | None = None
    while True:
        place = f"{uri}:{reader.line_num + 1}"
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


def read_jsonl(stream: IO[bytes], *, uri: str) -> Iterator[SourceRow | Reject]:
    """One JSON object a line, UTF-8 (with or without a mark); empty lines are skipped."""
    for number, line in enumerate(stream, start=1):
        place = f"{uri}:{number}"
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


def read_parquet(stream: IO[bytes], *, uri: str) -> Iterator[SourceRow | Reject]:
    """Rows of a Parquet file; `place` is the number of the row."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    number = 0
    try:
        for batch in pq.ParquetFile(stream).iter_batches(batch_size=_PARQUET_BATCH_ROWS):
            for values in batch.to_pylist():
                number += 1
                yield SourceRow(values, f"{uri}#{number}", uri)
    except (pa.ArrowException, OSError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise
        # Arrow reports a damaged page as an OSError without a number.
        yield Reject(f"{uri}#{number + 1}", f"unreadable file: {error}", uri=uri)
