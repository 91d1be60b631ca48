"""Reading back what a Milvus collection holds: ids and digests, and copies of one id.

Belongs here: the answer of `MilvusVectorIndex.keys`, which has to name what a query does not
show. Does not belong here: what is made of it (`plan.py`, `verify.py`).

A server stores an id as often as it is inserted, counts every copy and answers one. Milvus Lite
keeps the newest copy alone, and counts what it answers.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

import pyarrow as pa

from vector_platform.indexes.milvus_calls import MilvusCalls
from vector_platform.indexes.milvus_terms import among, literal
from vector_platform.indexes.stored_rows import key_batch, pages

KEY_FIELDS: Final = ("id", "tenant", "digest")
# Ids named in one filter: some 100 KiB of text that a server parses.
IDS_A_QUERY: Final = 2000


def stored_keys(
    calls: MilvusCalls, name: str, tenant: str, ids: Sequence[str] | None
) -> Iterator[pa.RecordBatch]:
    """Keys of a tenant's rows, all or those of some ids, through the filter that searches use.

    Where more rows of a tenant are counted than answered, ids are named once for each copy.
    """
    of_tenant = f"tenant == {literal(tenant)}"
    conditions = [of_tenant]
    if ids is not None:
        conditions = [f"{of_tenant} and {among('id', page)}" for page in pages(ids, IDS_A_QUERY)]
    for condition in conditions:
        found = 0
        for page in calls.query_pages(name, condition, KEY_FIELDS):
            found += len(page)
            yield _key_batch(page)
        if not calls.is_lite and calls.count(name, condition, "Bounded") > found:
            for page in calls.query_pages(name, condition, KEY_FIELDS):
                copies = _surplus(calls, name, of_tenant, page)
                if copies:
                    yield _key_batch(copies)


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
