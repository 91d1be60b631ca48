"""Reading back what a Milvus collection holds: ids and digests, and copies of one id.

Belongs here: the answers of `MilvusVectorIndex.scan`, `keys` and `find`, which have to name what
a query does not show. Does not belong here: what is made of it (`plan.py`, `verify.py`).

A server stores an id as often as it is inserted, counts every copy and answers one. Milvus Lite
keeps the newest copy alone, and counts what it answers.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

import pyarrow as pa

from vector_platform.indexes.contract import RowKey
from vector_platform.indexes.milvus_calls import MilvusCalls
from vector_platform.indexes.milvus_terms import among
from vector_platform.indexes.stored_rows import key_batch, pages

KEY_FIELDS: Final = ("id", "tenant", "digest")
# Ids named in one filter: some 100 KiB of text that a server parses.
IDS_A_QUERY: Final = 2000


def stored_keys(calls: MilvusCalls, name: str, condition: str) -> Iterator[pa.RecordBatch]:
    """Keys of the rows that meet a condition.

    Where more rows are counted than answered, ids are named once for each copy.
    """
    found = 0
    for page in calls.query_pages(name, condition, KEY_FIELDS):
        found += len(page)
        yield _key_batch(page)
    if not calls.is_lite and calls.count(name, condition, "Bounded") > found:
        for page in calls.query_pages(name, condition, KEY_FIELDS):
            copies = _surplus(calls, name, condition, page)
            if copies:
                yield _key_batch(copies)


def found_keys(calls: MilvusCalls, name: str, rows: Sequence[RowKey]) -> Iterator[pa.RecordBatch]:
    """Keys of rows named by id and tenant; a filter names many of both."""
    ordered = sorted(set(rows), key=lambda row: (row[1], row[0]))
    for page in pages(ordered, IDS_A_QUERY):
        ids = among("id", sorted({row_id for row_id, _ in page}))
        tenants = among("tenant", sorted({tenant for _, tenant in page}))
        wanted = set(page)
        for batch in stored_keys(calls, name, f"{tenants} and {ids}"):
            named = zip(batch["id"].to_pylist(), batch["tenant"].to_pylist(), strict=True)
            yield batch.filter(pa.array([row in wanted for row in named], pa.bool_()))


def _surplus(
    calls: MilvusCalls, name: str, condition: str, rows: Sequence[dict[str, Any]]
) -> list[dict[str, Any]]:
    """Rows that are stored more than once, by halving; each once for every further copy."""
    these = among("id", [row["id"] for row in rows])
    copies = calls.count(name, f"{condition} and {these}", "Bounded") - len(rows)
    if copies <= 0 or len(rows) == 1:
        return list(rows) * max(copies, 0)
    half = len(rows) // 2
    return [
        row for part in (rows[:half], rows[half:]) for row in _surplus(calls, name, condition, part)
    ]


def _key_batch(rows: Iterable[Mapping[str, str]]) -> pa.RecordBatch:
    return key_batch([(row["id"], row["tenant"], row["digest"]) for row in rows])
