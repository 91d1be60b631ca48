"""Rows of Parquet, streamed.

Belongs here: the columns that rows can have, and values of Arrow as values of Python.

Times with a zone come as the same instant in UTC, so that no name of a zone needs to be known;
what Python would cut (nanoseconds of a time of day) comes as text. What has no form in JSON at all
is refused where it is mapped, and else left out and noted.

A dictionary holds a text once that all rows may name, so that a few kilobytes become any number of
gigabytes. So large columns are read as their dictionaries, what their rows hold is counted before
any of it is there, and rows that are large together are made one by one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator
from typing import IO, Any

from vector_platform.settings import ReadLimits
from vector_platform.sources.base import Notes, Reject, SourceRow
from vector_platform.sources.limits import check_ratio, check_unpacked

# Rows that are decoded at a time: together they may be as large as so many of the largest value.
_BATCH_ROWS = 256
_MIB = 1024 * 1024
# Of a smaller column a batch cannot become large, and a dictionary costs time for each row.
_DICTIONARY_FROM = _MIB
# Rows that hold more together are made one by one.
_LARGE_BATCH = 64 * _MIB


def read_parquet(
    stream: IO[bytes], *, uri: str, mapped: Collection[str], limits: ReadLimits, notes: Notes
) -> Iterator[SourceRow | Reject]:
    """Rows of a Parquet file; `place` is the number of the row.

    Args:
        stream: The file, which can be sought in.
        uri: Lineage.
        mapped: Columns that the source's fields name.
        limits: What it may unpack to.
        notes: Told which columns were left out.

    Raises:
        OverLimit: It unpacks to more.
        Exception: Whatever Arrow raises for a file that is damaged.
    """
    import pyarrow.parquet as pq

    file = pq.ParquetFile(stream, page_checksum_verification=True)
    if large := _large_columns(file.metadata, limits):
        file = pq.ParquetFile(stream, read_dictionary=large, page_checksum_verification=True)
    schema = file.schema_arrow
    if twice := _doubled(list(schema)):
        yield Reject(uri, f"malformed parquet: the file has column {twice!r} twice", uri=uri)
        return
    kept = []
    for index, field in enumerate(schema):
        if field.name in mapped or _has_json_form(field.type):
            kept.append(index)
        else:
            notes.add(f"column {field.name!r} ({field.type}) left out: JSON has no form of it", uri)
    unpacked, number = 0, 0
    for batch in file.iter_batches(batch_size=_BATCH_ROWS):
        held = sum(map(_held_bytes, batch.columns))
        unpacked += held
        check_unpacked(unpacked, unpacked, limits)
        for found in _rows(batch.select(kept), uri, number, is_large=held > _LARGE_BATCH):
            number += 1
            yield found


def _doubled(fields: list[Any]) -> str | None:
    """The name of a column, or of a field within one, that is there twice."""
    names = Counter(field.name for field in fields)
    if twice := [name for name, times in names.items() if times > 1]:
        return str(twice[0])
    for field in fields:
        if (inner := _doubled(_inner(field.type))) is not None:
            return f"{field.name}.{inner}"
    return None


def _inner(kind: Any) -> list[Any]:
    return [kind.field(index) for index in range(kind.num_fields)]


def _has_json_form(kind: Any) -> bool:
    """Whether some value of an Arrow type can be written in JSON."""
    import pyarrow.types as types

    if types.is_dictionary(kind):
        return _has_json_form(kind.value_type)
    if _is_bytes(kind) or types.is_duration(kind) or types.is_interval(kind):
        return False
    return all(_has_json_form(field.type) for field in _inner(kind))


def _is_bytes(kind: Any) -> bool:
    import pyarrow.types as types

    return bool(
        types.is_binary(kind)
        or types.is_large_binary(kind)
        or types.is_fixed_size_binary(kind)
        or types.is_binary_view(kind)
    )


def _large_columns(metadata: Any, limits: ReadLimits) -> list[str]:
    """Columns that have much text in dictionaries.

    Raises:
        OverLimit: One unpacks to so much more that it was made for that.
    """
    large = set()
    for group in range(metadata.num_row_groups):
        parts = metadata.row_group(group)
        for column in map(parts.column, range(parts.num_columns)):
            size = column.total_uncompressed_size
            is_text = column.physical_type == "BYTE_ARRAY" and column.has_dictionary_page
            if is_text and size > _DICTIONARY_FROM:
                check_ratio(size, column.total_compressed_size, limits)
                large.add(column.path_in_schema)
    return sorted(large)


def _held_bytes(column: Any) -> int:
    """What the values of a column take, where texts of a dictionary are written out."""
    import pyarrow.compute as pc
    import pyarrow.types as types

    kind = column.type
    if types.is_dictionary(kind) and (
        types.is_string(kind.value_type) or _is_bytes(kind.value_type)
    ):
        lengths = pc.binary_length(column.dictionary).take(column.indices)
        return int(pc.sum(lengths, min_count=0).as_py())
    if types.is_struct(kind):
        return sum(map(_held_bytes, column.flatten()))
    if types.is_map(kind):
        return _held_bytes(column.keys) + _held_bytes(column.items)
    if kind.num_fields == 1:
        return _held_bytes(column.flatten())
    return int(column.nbytes)


def _rows(batch: Any, uri: str, before: int, *, is_large: bool) -> Iterator[SourceRow | Reject]:
    columns = [_plain(column) for column in batch.columns]
    names = batch.schema.names
    if is_large:
        yield from _one_by_one(names, columns, uri, before)
        return
    try:
        values = [column.to_pylist() for column in columns]
    except Exception:
        # Some value has no form in Python: a time beyond the year 9999, or text that is not UTF-8.
        # Only its row is lost.
        yield from _one_by_one(names, columns, uri, before)
        return
    for number, row in enumerate(zip(*values, strict=True), start=before + 1):
        yield SourceRow(dict(zip(names, row, strict=True)), f"{uri}#{number}", uri)


def _one_by_one(
    names: list[str], columns: list[Any], uri: str, before: int
) -> Iterator[SourceRow | Reject]:
    for index in range(len(columns[0])):
        place, values = f"{uri}#{before + index + 1}", {}
        name = ""
        try:
            for name, column in zip(names, columns, strict=True):
                values[name] = column[index].as_py()
        except Exception as error:
            said = " ".join(str(error).split())
            yield Reject(place, f"not representable: column {name!r}: {said}", uri=uri)
        else:
            yield SourceRow(values, place, uri)


def _plain(column: Any) -> Any:
    """A column without names of zones, and without what Python would cut."""
    import pyarrow as pa
    import pyarrow.types as types

    if types.is_timestamp(column.type) and column.type.tz is not None:
        return column.cast(pa.timestamp(column.type.unit, "UTC"))
    if types.is_time64(column.type) and column.type.unit == "ns":
        return column.cast(pa.string())
    return column
