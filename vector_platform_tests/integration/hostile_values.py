"""Hostile ids, tenants and attributes, driven through every promise of a `VectorIndex`.

Belongs here: what such values are, the life that rows with them lead, and what has to hold after
each step, for any backend.

Two tenants of bystanders live beside every row. Nothing that is done to others may change them.
"""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pyarrow as pa
from hypothesis import strategies as st

from vector_platform.indexes.base import VectorIndex
from vector_platform.indexes.contract import (
    INDEX_KEY,
    INDEX_ROW,
    Generation,
    IndexRejected,
    RowKey,
    RowsRejected,
    Scope,
)
from vector_platform.indexes.plan import compare
from vector_platform.lake.contract import canonical_json
from vector_platform_tests.integration.conftest import Server, open_index

DIMENSION: Final = 8
Row = dict[str, Any]
Rows = dict[RowKey, Row]

#: Each has broken a system once, or reads like the syntax of one.
KNOWN: Final = (
    "x']||id!='q'||(id)in['",
    'x"]||id!="q"||(id)in["',
    "o'brien",
    'say "no"',
    "back\\slash",
    "ends in \\",
    "\\\\",
    '\\"',
    "\\n is two characters",
    "\\u0041",
    "line\nbreak",
    "\r\n",
    "\ttab",
    "nul\0inside",
    "\x1b[31m",
    "\x7f",
    "\x85",
    "\u2028",
    "\ufeffmark",
    "\ufffe",
    "a b",
    "a  b",
    "a b ",
    " a b",
    "a\u00a0b",
    "a\u200bb",
    unicodedata.normalize("NFC", "café"),
    unicodedata.normalize("NFD", "café"),
    "admin",
    "\u0430dmin",
    "ADMIN",
    "\ufb01le",
    "file",
    "\u212a",
    "K",
    "\U0001f600",
    "\U0010ffff",
    "\ue000",
    "$meta",
    "{tenant}",
    "%",
    "100%_",
    "*",
    "a/../b",
    "..",
    "a@g0001",
    "__default__",
    "attr_x",
    "null",
    "true",
    "0",
    "1e5",
    "NaN",
    "not in ['a']",
    "' or 1=1 --",
    "k" * 1000,
    '"' * 512,
    "\\" * 511,
    "東" * 170,
    "bystander",
)
_PIECES: Final = (
    "'",
    '"',
    "\\",
    "[",
    "]",
    "(",
    ")",
    "||",
    "&&",
    "==",
    "!=",
    " in ",
    "id",
    "tenant",
)
_ANY: Final = st.characters(exclude_categories=["Cs"])
# One character of each plane, those above the first too.
_PLANES: Final = st.integers(0, 16).flatmap(
    lambda plane: (
        st.integers(plane * 0x10000, plane * 0x10000 + 0xFFFF)
        .filter(lambda point: not 0xD800 <= point <= 0xDFFF)
        .map(chr)
    )
)


def texts() -> st.SearchStrategy[str]:
    """Ids and tenants as the worst source would choose them; never empty, always Unicode."""
    syntax = st.lists(st.sampled_from(_PIECES) | _ANY, min_size=1, max_size=12).map("".join)
    return st.sampled_from(KNOWN) | syntax | st.lists(_PLANES, min_size=1, max_size=8).map("".join)


def attributes() -> st.SearchStrategy[dict[str, Any]]:
    """Attributes with such names and such values, of every type that the contract admits."""
    values = (
        texts()
        | st.booleans()
        | st.integers(-(2**53), 2**53)
        | st.floats(allow_nan=False, allow_infinity=False)
        | st.lists(texts(), max_size=3)
    )
    return st.dictionaries(texts(), values, max_size=4)


def rows(min_size: int = 3, max_size: int = 12) -> st.SearchStrategy[list[Row]]:
    """Rows with ids of their own; some share a tenant."""
    one = st.fixed_dictionaries({"id": texts(), "tenant": texts(), "attributes": attributes()})
    return st.lists(one, min_size=min_size, max_size=max_size, unique_by=lambda row: row["id"])


#: All the known ones at once, as ids and as tenants.
EVERY_KNOWN: Final[list[Row]] = [
    {"id": f"id {value}", "tenant": value, "attributes": {value: [value], "n": number}}
    for number, value in enumerate(KNOWN[:-1])
] + [{"id": value, "tenant": "of all", "attributes": {}} for value in KNOWN]


def bystanders() -> Rows:
    """Rows that are nobody's business, two tenants of them."""
    return {
        (f"{tenant} {number}", tenant): {
            "digest": f"{tenant} {number}",
            "attributes": {"n": number},
        }
        for tenant in ("bystander", "by'stander")
        for number in range(4)
    }


def begin(target: VectorIndex, generation: Generation) -> None:
    """Make the generation, with the bystanders in it."""
    target.create(generation)
    target.upsert(generation, _batch(bystanders()))
    target.fence(generation)
    assert_holds(target, generation, bystanders())


@dataclass(frozen=True)
class Hostile:
    """A generation in which only the bystanders live yet."""

    index: VectorIndex
    generation: Generation


@contextmanager
def begun(server: Server) -> Iterator[Hostile]:
    """An adapter for a server, and a generation of its own there."""
    index = open_index(server)
    made = Generation("hostile", "g0001", "tiny-1.0", DIMENSION)
    begin(index, made)
    yield Hostile(index, made)
    index.drop(made)
    index.close()


def live_through(
    target: VectorIndex,
    generation: Generation,
    drawn: Sequence[Row],
    *,
    admits: Callable[[str, str], bool],
) -> None:
    """Create, change, move, delete, repair and remove rows, and look at everything in between.

    Args:
        target: The backend.
        generation: Where; it holds the bystanders before and after.
        drawn: Rows with `id`, `tenant` and `attributes`.
        admits: Whether the backend has to take an id and a tenant; it refuses all others by name.
    """
    new: Rows = {
        (row["id"], row["tenant"]): {"digest": f"first {n}", "attributes": row["attributes"]}
        for n, row in enumerate(drawn)
    }
    new = {key: row for key, row in new.items() if key not in bystanders()}
    refused = write(target, generation, new)
    assert refused == {row_id for row_id, tenant in new if not admits(row_id, tenant)}
    held = bystanders() | {key: row for key, row in new.items() if key[0] not in refused}
    mine = sorted(held.keys() - bystanders().keys())
    target.fence(generation)
    assert_holds(target, generation, held, strangers=[key for key in new if key not in held])

    # Changed in place.
    changed = {key: held[key] | {"digest": "second"} for key in mine[::2]}
    assert write(target, generation, changed) == set()
    held |= changed
    target.fence(generation)
    assert_holds(target, generation, held)

    # Moved to the tenant of another row, or to a bystander's.
    owners = [*(tenant for _, tenant in mine), "bystander"]
    moved = {
        (row_id, owners[at + 1]): held[row_id, tenant] | {"digest": "moved"}
        for at, (row_id, tenant) in enumerate(mine)
        if at % 3 == 0 and owners[at + 1] != tenant
    }
    old = [key for key in mine if key[0] in {row_id for row_id, _ in moved}]
    assert write(target, generation, moved) == set()
    target.fence(generation)
    if not target.ids_are_global:
        target.delete(generation, old)
        target.fence(generation)
    held = {key: row for key, row in held.items() if key not in old} | moved
    mine = sorted(held.keys() - bystanders().keys())
    assert_holds(target, generation, held, strangers=old)

    # Deleted, named together with rows that are not there or belong to somebody else.
    doomed = mine[::2]
    decoys = [(row_id, f"{tenant}?") for row_id, tenant in mine]
    decoys += [(row_id, tenant) for row_id, _ in bystanders() for tenant in ("nobody", *owners)]
    target.delete(generation, [*doomed, *(key for key in decoys if key not in held)])
    target.fence(generation)
    held = {key: row for key, row in held.items() if key not in doomed}
    mine = sorted(held.keys() - bystanders().keys())
    assert_holds(target, generation, held, strangers=doomed)

    # Damaged, and repaired by what a comparison finds.
    target.delete(generation, mine[::2])
    write(target, generation, {key: held[key] | {"digest": "stale"} for key in mine[1::2]})
    orphans = {key: {"digest": "orphan", "attributes": {}} for key in doomed}
    write(target, generation, orphans)
    target.fence(generation)
    plan = compare([_batch(held).select(INDEX_KEY.names)], target.scan(generation))
    assert set(_pairs(plan.upserts)) == set(mine)
    assert set(_pairs(plan.deletes)) == set(doomed)
    write(target, generation, {key: held[key] for key in _pairs(plan.upserts)})
    target.fence(generation)
    target.delete(generation, list(_pairs(plan.deletes)))
    target.fence(generation)
    assert_holds(target, generation, held)

    target.delete(generation, mine)
    target.fence(generation)
    assert_holds(target, generation, bystanders(), strangers=mine)


def assert_holds(
    target: VectorIndex,
    generation: Generation,
    held: Mapping[RowKey, Row],
    *,
    strangers: Sequence[RowKey] = (),
) -> None:
    """See that the generation holds these rows and no other, by every way that there is to ask."""
    digests = {key: row["digest"] for key, row in held.items()}
    tenants = sorted({tenant for _, tenant in held})
    nobodies = sorted({tenant for _, tenant in strangers} - set(tenants))
    assert _digests(target.scan(generation)) == digests
    assert _digests(target.find(generation, [*held, *strangers])) == digests
    assert target.count(generation) == len(held)
    assert target.tenants(generation) == tenants
    by_tenant = {
        tenant: {key: digest for key, digest in digests.items() if key[1] == tenant}
        for tenant in tenants
    }
    wanted = {tenant: len(own) for tenant, own in by_tenant.items()}
    assert target.counts(generation, [*tenants, *nobodies]) == wanted | dict.fromkeys(nobodies, 0)
    stored = target.whole_rows(generation, [*held, *strangers])
    assert stored.keys() == held.keys()
    for key, row in stored.items():
        np.testing.assert_allclose(row["vector"], vector_of(*key), rtol=0, atol=1e-6)
        assert (row["tenant"], row["digest"]) == (key[1], held[key]["digest"])
        assert canonical_json(row["attributes"]) == canonical_json(held[key]["attributes"])
    probe = vector_of("a query", "")
    for tenant, own in by_tenant.items():
        assert _digests(target.keys(generation, tenant)) == own
        hits = target.search(generation, probe, k=len(held) + 1, scope=Scope.of(tenant))
        assert {(hit.id, hit.tenant): hit.digest for hit in hits} == own
        for hit in hits:
            given = held[hit.id, hit.tenant]["attributes"]
            assert canonical_json(hit.attributes) == canonical_json(given)
    for tenant in nobodies:
        try:
            assert target.search(generation, probe, k=5, scope=Scope.of(tenant)) == []
        except IndexRejected as error:  # too long for any row, say
            assert "\n" not in str(error)


def vector_of(row_id: str, tenant: str) -> np.ndarray:
    """A unit vector that says whose it is."""
    seed = int.from_bytes(f"{row_id}\0{tenant}".encode(), "big")
    drawn = np.random.default_rng(seed).normal(size=DIMENSION)
    unit: np.ndarray = (drawn / np.linalg.norm(drawn)).astype(np.float32)
    return unit


def write(target: VectorIndex, generation: Generation, wanted: Rows) -> set[str]:
    """Write rows; ids of those that the backend refused."""
    if not wanted:
        return set()
    try:
        target.upsert(generation, _batch(wanted))
    except RowsRejected as error:
        assert all(error.reasons.values())
        return set(error.reasons)
    return set()


def _batch(wanted: Rows) -> pa.RecordBatch:
    full = [
        {
            "id": row_id,
            "tenant": tenant,
            "digest": row["digest"],
            "vector": vector_of(row_id, tenant),
            "region": "global",
            "doc_id": "a document",
            "title": "",
            "text": "A text",
            "attributes": canonical_json(row["attributes"]),
        }
        for (row_id, tenant), row in wanted.items()
    ]
    return pa.RecordBatch.from_pylist(full, schema=INDEX_ROW)


def _digests(batches: Iterator[pa.RecordBatch]) -> dict[RowKey, str]:
    """Digest of each row; no row may be named twice."""
    listed = [tuple(row.values()) for batch in batches for row in batch.to_pylist()]
    found = {(row_id, tenant): digest for row_id, tenant, digest in listed}
    assert len(found) == len(listed), json.dumps(sorted(listed))
    return found


def _pairs(table: pa.Table) -> list[RowKey]:
    return list(zip(table["id"].to_pylist(), table["tenant"].to_pylist(), strict=True))
