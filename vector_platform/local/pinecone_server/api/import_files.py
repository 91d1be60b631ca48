"""The files of a bulk import: documents as JSON lines, classic vectors as Parquet.

Belongs here: reading records one by one, each with its place for error messages.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import orjson

from ..data.records import Record, document_to_record
from ..data.schema import Schema
from ..errors import invalid
from .import_source import Folder
from .vector_writes import vector_to_record

_ROWS_AT_ONCE = 1000


@dataclass(frozen=True)
class SourceRecord:
    """A record as it stands in a file.

    Attributes:
        schema: The index's schema.
        raw: A line of JSON, or a row as a dictionary.
        place: File and row, for people.
        row: Its number in the file, from 0.
    """

    schema: Schema
    raw: bytes | dict[str, Any]
    place: str
    row: int

    def parse(self) -> Record:
        """Check it against the schema.

        Raises:
            RequestRefusedError: It cannot be imported; the message says why.
        """
        if isinstance(self.raw, dict):
            return vector_to_record(self.schema, self.raw)
        try:
            document = orjson.loads(self.raw)
        except orjson.JSONDecodeError as error:
            raise invalid(f"not JSON ({error})") from None
        return document_to_record(self.schema, document, self.row)


def files_of(schema: Schema, folder: Folder) -> list[str]:
    """Return the paths of the files to import from a namespace's folder, in order."""
    return folder.files(".jsonl" if schema.has_documents else ".parquet")


def read_file(schema: Schema, folder: Folder, path: str) -> Iterator[SourceRecord]:
    """Read the records of a file in a folder one by one; memory holds one batch of rows."""
    rows = _json_lines if schema.has_documents else _parquet_rows
    for number, raw in rows(folder, path):
        place = f"{folder.name}/{path.rpartition('/')[2]}, row {number + 1}"
        yield SourceRecord(schema, raw, place, number)


def _json_lines(folder: Folder, path: str) -> Iterator[tuple[int, bytes]]:
    with folder.file_system().open_input_stream(path, compression=None) as stream:
        for number, line in enumerate(io.BufferedReader(stream)):
            if line.strip():
                yield number, line


def _parquet_rows(folder: Folder, path: str) -> Iterator[tuple[int, dict[str, Any]]]:
    import pyarrow.parquet as pq

    number = 0
    with folder.file_system().open_input_file(path) as file:
        for batch in pq.ParquetFile(file).iter_batches(_ROWS_AT_ONCE):
            for row in batch.to_pylist():
                yield number, _as_vector(row)
                number += 1


def _as_vector(row: dict[str, Any]) -> dict[str, Any]:
    """Rename a Parquet row's columns to the fields of an upsert; metadata is a JSON string."""
    metadata = row.get("metadata")
    try:
        decoded = orjson.loads(metadata) if isinstance(metadata, str) and metadata else metadata
    except orjson.JSONDecodeError:
        decoded = metadata
    return {
        "id": row.get("id"),
        "values": row.get("values"),
        "sparseValues": row.get("sparse_values"),
        "metadata": decoded,
    }
