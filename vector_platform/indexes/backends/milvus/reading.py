"""Reading back what a Milvus collection holds: ids and digests, copies of one id, whole rows.

Belongs here: the answers of `MilvusVectorIndex.scan`, `keys`, `find`, `whole_rows`, `tenants` and
`counts`, for many tenants in few requests, and naming what a query does not show.

A server stores an id as often as it is inserted, counts every copy and answers one. Milvus Lite
keeps the newest copy alone, and counts what it answers.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

import numpy as np
import pyarrow as pa

from vector_platform.indexes.backends.milvus.calls import Consistency, MilvusCalls
from vector_platform.indexes.backends.milvus.filters import EVERY_ROW, Filter, among
from vector_platform.indexes.backends.milvus.terms import partition_of
from vector_platform.indexes.contract import RowKey, StoredRow
from vector_platform.indexes.stored_rows import HIT_FIELDS, key_batch, pages

KEY_FIELDS: Final = ("id", "tenant", "digest")
# Ids named in one filter: some 100 KiB of text that a server parses.
IDS_A_QUERY: Final = 2000
# Tenants that are worth ruling out to look for others; where there are more, all rows are read.
_FEW_TENANTS: Final = 500
# Rows of a query that carries them whole: 1,000 with 4,096 dimensions and 40 kB of text are 56 MB,
# below gRPC's 64 MiB. Milvus Lite takes messages of 256 MiB, and looks at all rows for each query.
WHOLE_ROWS: Final = 1000
LITE_WHOLE_ROWS: Final = 4096


def stored_tenants(calls: MilvusCalls, name: str) -> list[str]:
    """Tenants that have rows, sorted.

    Few large ones are found by what is not of a known one, until nothing is left; many by reading
    the tenant of every row, where filters that rule out thousands would get longer and longer.
    """
    known: set[str] = set()
    while len(known) <= _FEW_TENANTS:
        others = among("tenant", sorted(known), negated=True) if known else EVERY_ROW
        rows = calls.query(name, others, ["tenant"], "Strong", limit=calls.page_rows)
        if not rows:
            return sorted(known)
        known |= {row["tenant"] for row in rows}
        if len(rows) < calls.page_rows:
            return sorted(known)
    pages = calls.query_pages(name, EVERY_ROW, ["tenant"], "Strong")
    return sorted({row["tenant"] for page in pages for row in page})


def counted(calls: MilvusCalls, name: str, tenants: Sequence[str]) -> dict[str, int]:
    """Rows of tenants, copies included, through the filter that searches use.

    A server counts quickly and names a page of rows at most, so tenants are counted together, and
    told apart by their rows where those fit a page. Milvus Lite reads rows to count them.
    """
    counts = dict.fromkeys(tenants, 0)
    for group in pages(sorted(counts), IDS_A_QUERY):
        for tenant, rows in _counted(calls, name, group):
            counts[tenant] += rows
    return counts


def _counted(calls: MilvusCalls, name: str, tenants: Sequence[str]) -> Iterator[tuple[str, int]]:
    those = among("tenant", tenants)
    if calls.is_lite:
        rows = calls.query(name, those, ["tenant"], "Bounded")
        yield from Counter(row["tenant"] for row in rows).items()
        return
    total = calls.count(name, those, "Bounded")
    if len(tenants) == 1:
        yield tenants[0], total
        return
    if total <= calls.page_rows:
        rows = calls.query(name, those, ["tenant"], "Bounded", limit=calls.page_rows)
        if len(rows) == total:  # no row is there twice
            yield from Counter(row["tenant"] for row in rows).items()
            return
    half = len(tenants) // 2
    for part in (tenants[:half], tenants[half:]):
        yield from _counted(calls, name, part)


def scanned_keys(calls: MilvusCalls, name: str) -> Iterator[pa.RecordBatch]:
    """Keys of all rows, as the filters of their tenants find them, however many tenants there are.

    A server looks for a tenant's rows in the partition of its hash alone, and a row that is
    elsewhere is stored, counted, found without a filter, and never served (see
    `upsert_keeps_tenants`). So the tenants of one partition are named together: such a filter is
    looked up where each of theirs is, and what it finds, they find. Milvus Lite looks everywhere.
    """
    if calls.is_lite:
        yield from stored_keys(calls, name, EVERY_ROW)
        return
    partitions = int(calls.call("describe_collection", name)["num_partitions"])
    together: dict[int, list[str]] = {}
    for tenant in stored_tenants(calls, name):
        together.setdefault(partition_of(tenant, partitions), []).append(tenant)
    for _, tenants in sorted(together.items()):
        for group in pages(tenants, IDS_A_QUERY):
            yield from stored_keys(calls, name, among("tenant", group))


def stored_keys(calls: MilvusCalls, name: str, rows: Filter) -> Iterator[pa.RecordBatch]:
    """Keys of the rows that meet a condition.

    Where more rows are counted than answered, ids are named once for each copy.
    """
    found = 0
    for page in calls.query_pages(name, rows, KEY_FIELDS):
        found += len(page)
        yield _key_batch(page)
    if not calls.is_lite and calls.count(name, rows, "Bounded") > found:
        for page in calls.query_pages(name, rows, KEY_FIELDS):
            copies = _surplus(calls, name, rows, page)
            if copies:
                yield _key_batch(copies)


def found_keys(calls: MilvusCalls, name: str, rows: Sequence[RowKey]) -> Iterator[pa.RecordBatch]:
    """Keys of rows named by id and tenant; a filter names many of both."""
    ordered = sorted(set(rows), key=lambda row: (row[1], row[0]))
    for page in pages(ordered, IDS_A_QUERY):
        ids = among("id", sorted({row_id for row_id, _ in page}))
        tenants = among("tenant", sorted({tenant for _, tenant in page}))
        wanted = set(page)
        for batch in stored_keys(calls, name, tenants & ids):
            named = zip(batch["id"].to_pylist(), batch["tenant"].to_pylist(), strict=True)
            yield batch.filter(pa.array([row in wanted for row in named], pa.bool_()))


def _surplus(
    calls: MilvusCalls, name: str, condition: Filter, rows: Sequence[dict[str, Any]]
) -> list[dict[str, Any]]:
    """Rows that are stored more than once, by bisection; each once for every further copy."""
    these = among("id", [row["id"] for row in rows])
    copies = calls.count(name, condition & these, "Bounded") - len(rows)
    if copies <= 0 or len(rows) == 1:
        return list(rows) * max(copies, 0)
    half = len(rows) // 2
    return [
        row for part in (rows[:half], rows[half:]) for row in _surplus(calls, name, condition, part)
    ]


def _key_batch(rows: Iterable[Mapping[str, str]]) -> pa.RecordBatch:
    return key_batch([(row["id"], row["tenant"], row["digest"]) for row in rows])


def rows_of(
    calls: MilvusCalls,
    name: str,
    rows: Sequence[RowKey],
    fields: Sequence[str],
    consistency: Consistency,
) -> list[dict[str, Any]]:
    """Rows by id and tenant, with some fields."""
    ids = among("id", sorted({row_id for row_id, _ in rows}))
    found = calls.query(name, ids, [*{"id", "tenant", *fields}], consistency)
    wanted = set(rows)
    return [row for row in found if (row["id"], row["tenant"]) in wanted]


def whole_rows(calls: MilvusCalls, name: str, rows: Sequence[RowKey]) -> dict[RowKey, StoredRow]:
    """All fields of rows, a filter for many ids at once."""
    size = LITE_WHOLE_ROWS if calls.is_lite else WHOLE_ROWS
    return {
        (row["id"], row["tenant"]): row | {"vector": np.asarray(row["vector"], np.float32)}
        for page in pages(rows, size)
        for row in rows_of(calls, name, page, [*HIT_FIELDS, "vector"], "Bounded")
    }
