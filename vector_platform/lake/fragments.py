"""What is known of a table's files, in the types of the contract.

Belongs here: one correction of what delta-rs hands to Arrow. Files written by a merge come with
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
