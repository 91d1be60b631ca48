"""What is known of a table's files, in the types of the contract, and which are worth reading.

Belongs here: descriptions and choices of files and their row groups.

Files written by a merge come with
statistics of type string_view, which Arrow cannot compare with a string, and timestamps come cut
to milliseconds, which can make a filter miss a row. Here every file is described anew: its
partition values, and the range of its string keys, which is what filters of ours can skip by.
"""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import unquote

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds

from vector_platform.lake.contract import TableSpec


def described(files: ds.FileSystemDataset, actions: pa.Table, spec: TableSpec) -> ds.Dataset:
    """The same files with descriptions that filters can be compared with.

    Args:
        files: The dataset as delta-rs makes it.
        actions: The log's flattened add actions: `path`, `min.<column>`, `max.<column>`.
        spec: Whose table it is.
    """
    ranges = {unquote(row["path"]): row for row in actions.to_pylist()}
    strings = [
        key
        for key in spec.keys
        if key not in spec.partition_by and spec.schema.field(key).type == pa.string()
    ]
    fragments = [
        files.format.make_fragment(
            fragment.path,
            filesystem=files.filesystem,
            partition_expression=_known(
                fragment, ranges.get(unquote(fragment.path), {}), strings, spec
            ),
        )
        for fragment in files.get_fragments()
    ]
    return ds.FileSystemDataset(fragments, files.schema, files.format, files.filesystem)


def holding(files: ds.Dataset, key: str, values: pa.Array) -> ds.Dataset:
    """The same dataset without the row groups that hold none of the values.

    Reads the key of every row to find them, which is little beside what the rows weigh.

    Args:
        files: Any dataset; one that is not of files is returned as it is.
        key: A string column.
        values: What is looked for.
    """
    if not isinstance(files, ds.FileSystemDataset):
        return files
    wanted = values.cast(pa.string())
    kept = [
        group
        for fragment in files.get_fragments()
        for group in fragment.split_by_row_group()
        if _holds(group.to_table(files.schema, columns=[key]).column(0), wanted)
    ]
    return ds.FileSystemDataset(kept, files.schema, files.format, files.filesystem)


def _holds(column: pa.ChunkedArray, wanted: pa.Array) -> bool:
    found = pc.is_in(column.cast(pa.string()), value_set=wanted)
    return bool(pc.any(found, min_count=0).as_py())


def _known(
    fragment: ds.Fragment, row: Mapping[str, object], strings: list[str], spec: TableSpec
) -> ds.Expression:
    known = pc.scalar(True)
    values = ds.get_partition_keys(fragment.partition_expression)
    for name in spec.partition_by:
        value = pa.scalar(values[name], spec.schema.field(name).type)
        known = known & (pc.field(name) == value)
    for name in strings:
        low, high = row.get(f"min.{name}"), row.get(f"max.{name}")
        if low is not None and high is not None:
            known = known & (pc.field(name) >= pa.scalar(low, pa.string()))
            known = known & (pc.field(name) <= pa.scalar(high, pa.string()))
    return known
