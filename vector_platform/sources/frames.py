"""Rows that Python hands over: a frame, a table, or a list of rows.

Belongs here: reading what was handed over. Whatever shares its columns with Arrow is read the same
way: frames of pandas and Polars, tables of Arrow, relations of DuckDB.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from vector_platform.sources.base import (
    DayWindow,
    Look,
    Reject,
    Source,
    SourceInvalid,
    SourceRow,
)

_BATCH_ROWS = 1000


class NothingHandedOver(SourceInvalid):
    """A source of kind `frame` is read, and nothing was handed over."""


class FrameReader(Source):
    """Rows of a frame.

    Args:
        name: Name of the source.
        rows: A frame, a table, or a sequence of mappings; None when nothing was handed over.
        uri: Lineage of the rows: whose they are.
    """

    def __init__(self, name: str, rows: object, uri: str) -> None:
        self.name, self._rows, self._uri = name, rows, uri

    def read(self, window: DayWindow) -> Iterator[SourceRow | Reject]:
        """Stream the rows; `place` is the number of the row.

        Raises:
            NothingHandedOver: Nothing was handed over: taken as empty, all rows would be removed.
            SourceInvalid: It is no frame, a column has two names, or one cannot be read.
        """
        if self._rows is None:
            raise NothingHandedOver(
                self.name,
                "it is of kind frame, and nothing was handed over: materialise the asset that it "
                "names, or call Platform.land with a frame",
            )
        if hasattr(self._rows, "__arrow_c_stream__"):
            yield from self._read_columns(self._rows)
        elif isinstance(self._rows, Sequence) and not isinstance(self._rows, (str, bytes)):
            for number, row in enumerate(self._rows, start=1):
                yield self._row(number, row)
        else:
            raise SourceInvalid(
                self.name,
                f"a {type(self._rows).__name__} was handed over, which is no frame, no table and "
                "no list of rows",
            )

    def look(self, *, connect: bool) -> Look:
        """Nothing is known of what will be handed over."""
        return Look()

    def _row(self, number: int, row: object) -> SourceRow | Reject:
        place = f"{self._uri}#{number}"
        if not isinstance(row, Mapping):
            return Reject(place, f"malformed row: a {type(row).__name__} is no mapping")
        if not all(isinstance(name, str) for name in row):
            return Reject(place, "malformed row: a name of a column is no text")
        return SourceRow(dict(row), place, self._uri)

    def _read_columns(self, shared: Any) -> Iterator[SourceRow | Reject]:
        import pyarrow as pa

        try:
            reader = pa.RecordBatchReader.from_stream(shared)
            names = reader.schema.names
            if twice := sorted({name for name in names if names.count(name) > 1}):
                raise SourceInvalid(self.name, f"the column(s) {', '.join(twice)} are there twice")
            number = 0
            for batch in reader:
                for at in range(0, batch.num_rows, _BATCH_ROWS):
                    for found in self._rows_of(batch.slice(at, _BATCH_ROWS), number):
                        number += 1
                        yield found
        except (pa.ArrowException, TypeError) as error:
            # A column of mixed types, say: which one is in the message.
            raise SourceInvalid(self.name, f"the frame cannot be read: {error}") from error

    def _rows_of(self, batch: Any, before: int) -> Iterator[SourceRow | Reject]:
        try:
            rows = batch.to_pylist()
        except (ValueError, OverflowError):
            # A value that Python cannot hold, such as a time beyond the year 9999: only its row
            # is lost.
            for index in range(batch.num_rows):
                try:
                    (row,) = batch.slice(index, 1).to_pylist()
                except (ValueError, OverflowError) as error:
                    yield Reject(f"{self._uri}#{before + index + 1}", f"not representable: {error}")
                else:
                    yield self._row(before + index + 1, row)
            return
        for index, row in enumerate(rows):
            yield self._row(before + index + 1, row)
