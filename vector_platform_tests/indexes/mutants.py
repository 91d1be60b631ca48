"""A `VectorIndex` that does a little more, less or other than asked, once: mutants of a sync.

Belongs here: the mutations, of any backend, said through its own interface, so that the same
mutants attack the index in memory, Milvus and Pinecone.

Each mutation is a function of the index behind, the call that it falls upon, and a random number
generator; it carries out the call in its own way. `TOUCHED` ones leave rows wrong that the sync was
to write or delete, `OTHERS` leave those as they should be and damage rows of which nothing was
asked.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from vector_platform.indexes.base import VectorIndex
from vector_platform.indexes.contract import (
    INDEX_ROW,
    Generation,
    RowKey,
)
from vector_platform.lake.rules import canonical_json

Rows = list[dict[str, Any]]


class Call:
    """A write that a mutation falls upon: `rows` of an upsert, `keys` of a delete."""

    def __init__(
        self,
        target: VectorIndex,
        generation: Generation,
        stranger: Generation,
        rows: Rows,
        keys: list[RowKey],
        earlier: Rows,
        luck: random.Random,
    ) -> None:
        self.target = target
        self.generation = generation
        self.stranger = stranger
        self.rows = rows
        self.keys = keys
        self.earlier = earlier
        self.luck = luck

    def write(self, rows: Rows, generation: Generation | None = None) -> None:
        if rows:
            batch = pa.RecordBatch.from_pylist(rows, schema=INDEX_ROW)
            self.target.upsert(generation or self.generation, batch)

    def delete(self, keys: Sequence[RowKey]) -> None:
        if keys:
            self.target.delete(self.generation, keys)

    def carry_out(self) -> None:
        """What was asked."""
        self.write(self.rows)
        self.delete(self.keys)

    def others(self) -> list[RowKey]:
        """Rows that are there and that this call says nothing of."""
        mine = {(row["id"], row["tenant"]) for row in self.rows} | set(self.keys)
        self.target.fence(self.generation)
        stored = [
            (row["id"], row["tenant"])
            for batch in self.target.scan(self.generation)
            for row in batch.to_pylist()
        ]
        return sorted(set(stored) - mine)

    def stored(self, keys: Sequence[RowKey]) -> Rows:
        """Stored rows, to be written again."""
        stored = self.target.whole_rows(self.generation, keys)
        return [
            {name: stored[key].get(name) for name in INDEX_ROW.names}
            | {"id": key[0], "attributes": canonical_json(stored[key]["attributes"])}
            for key in keys
        ]

    def one(self, rows: list[Any]) -> Any:
        return self.luck.choice(rows)


Mutation = Callable[[Call], None]


def _turned(vector: Any) -> np.ndarray:
    found = np.asarray(vector, np.float32)
    # Another direction: for a vector of equal numbers, reversing alone would be the same.
    turned = np.roll(found, 1) * np.where(np.arange(len(found)) % 2, 1, -1).astype(np.float32)
    return np.asarray(turned, np.float32)


def _altered(rows: Rows, row: dict[str, Any], **values: Any) -> Rows:
    return [one | values if one is row else one for one in rows]


# -- of rows that were to be written ----------------------------------------------------------


def drop_a_row(call: Call) -> None:
    row = call.one(call.rows)
    call.write([one for one in call.rows if one is not row])


def acknowledge_and_drop(call: Call) -> None:
    del call


def write_another_vector(call: Call) -> None:
    row = call.one(call.rows)
    call.write(_altered(call.rows, row, vector=_turned(row["vector"])))


def write_another_text(call: Call) -> None:
    call.write(_altered(call.rows, call.one(call.rows), text="forged"))


def write_another_title(call: Call) -> None:
    call.write(_altered(call.rows, call.one(call.rows), title="forged"))


def write_another_region(call: Call) -> None:
    call.write(_altered(call.rows, call.one(call.rows), region="elsewhere"))


def write_another_document(call: Call) -> None:
    call.write(_altered(call.rows, call.one(call.rows), doc_id="another"))


def write_another_attribute(call: Call) -> None:
    row = call.one(call.rows)
    forged = json.loads(row["attributes"]) | {"clearance": "public"}
    call.write(_altered(call.rows, row, attributes=canonical_json(forged)))


def drop_attributes(call: Call) -> None:
    row = call.one([row for row in call.rows if row["attributes"] != "{}"])
    call.write(_altered(call.rows, row, attributes="{}"))


def write_another_digest(call: Call) -> None:
    call.write(_altered(call.rows, call.one(call.rows), digest="0" * 32))


def write_to_another_tenant(call: Call) -> None:
    call.write(_altered(call.rows, call.one(call.rows), tenant="stranger"))


def write_under_another_id(call: Call) -> None:
    row = call.one(call.rows)
    call.write(_altered(call.rows, row, id=row["id"] + "x"))


def swap_two_vectors(call: Call) -> None:
    one, other = call.rows[0], call.rows[-1]
    swapped = _altered(call.rows, one, vector=other["vector"])
    swapped[-1] = other | {"vector": one["vector"]}
    call.write(swapped)


def write_into_another_generation(call: Call) -> None:
    call.target.create(call.stranger)
    call.write(call.rows, call.stranger)


def do_an_earlier_request_again(call: Call) -> None:
    call.write(call.earlier)


def write_and_delete_again(call: Call) -> None:
    call.write(call.rows)
    row = call.one(call.rows)
    call.delete([(row["id"], row["tenant"])])


# -- of rows that were to be deleted ----------------------------------------------------------


def delete_none(call: Call) -> None:
    del call


def delete_one_less(call: Call) -> None:
    key = call.one(call.keys)
    call.delete([one for one in call.keys if one != key])


def delete_another_instead(call: Call) -> None:
    key = call.one(call.keys)
    call.delete([*(one for one in call.keys if one != key), call.one(call.others())])


# -- of rows of which nothing was asked -------------------------------------------------------


def delete_everything(call: Call) -> None:
    call.carry_out()
    call.delete(call.others())


def delete_a_tenant(call: Call) -> None:
    call.carry_out()
    others = call.others()
    _, tenant = call.one(others)
    call.delete([key for key in others if key[1] == tenant])


def delete_one_more(call: Call) -> None:
    call.carry_out()
    call.delete([call.one(call.others())])


def write_one_more(call: Call) -> None:
    call.carry_out()
    [row] = call.stored([call.one(call.others())])
    call.write([row | {"id": "ghost#0"}])


def copy_one_to_another_tenant(call: Call) -> None:
    call.carry_out()
    [row] = call.stored([call.one(call.others())])
    call.write([row | {"id": "ghost#1", "tenant": "stranger"}])


def move_some_to_another_tenant(call: Call) -> None:
    call.carry_out()
    rows = call.stored(_some(call))
    call.delete([(row["id"], row["tenant"]) for row in rows])
    call.write([row | {"tenant": "stranger"} for row in rows])


def exchange_ids_of_some(call: Call) -> None:
    call.carry_out()
    rows = call.stored(_some(call))
    call.delete([(row["id"], row["tenant"]) for row in rows])
    call.write([row | {"id": row["id"] + "x"} for row in rows])


def write_other_vectors(call: Call) -> None:
    call.carry_out()
    call.write([row | {"vector": _turned(row["vector"])} for row in call.stored(_some(call))])


def write_other_digests(call: Call) -> None:
    call.carry_out()
    call.write([row | {"digest": "0" * 32} for row in call.stored(_some(call))])


def write_other_texts(call: Call) -> None:
    call.carry_out()
    call.write([row | {"text": "forged"} for row in call.stored(_some(call))])


def write_other_attributes(call: Call) -> None:
    call.carry_out()
    forged = canonical_json({"clearance": "public"})
    call.write([row | {"attributes": forged} for row in call.stored(_some(call))])


def swap_vectors_of_some(call: Call) -> None:
    call.carry_out()
    rows = call.stored(_some(call))
    vectors = [row["vector"] for row in rows]
    swapped = zip(rows, vectors[1:] + vectors[:1], strict=True)
    call.write([row | {"vector": vector} for row, vector in swapped])


def _some(call: Call) -> list[RowKey]:
    """A little more than one in a hundred rows of one tenant, two at least."""
    others = call.others()
    _, tenant = call.one(others)
    own = [key for key in others if key[1] == tenant]
    # The call's own rows are the tenant's, too; so count generously.
    return sorted(call.luck.sample(own, min(len(own), max(2, len(own) // 90 + 1))))


UPSERTS: tuple[Mutation, ...] = (
    drop_a_row,
    acknowledge_and_drop,
    write_another_vector,
    write_another_text,
    write_another_title,
    write_another_region,
    write_another_document,
    write_another_attribute,
    drop_attributes,
    write_another_digest,
    write_to_another_tenant,
    write_under_another_id,
    swap_two_vectors,
    write_into_another_generation,
    do_an_earlier_request_again,
    write_and_delete_again,
)
DELETES: tuple[Mutation, ...] = (delete_none, delete_one_less, delete_another_instead)
# What changes counts is always found, whatever the size.
COUNTED: tuple[Mutation, ...] = (
    delete_everything,
    delete_a_tenant,
    delete_one_more,
    write_one_more,
    copy_one_to_another_tenant,
    move_some_to_another_tenant,
)
SAMPLED: tuple[Mutation, ...] = (
    exchange_ids_of_some,
    write_other_vectors,
    write_other_texts,
    write_other_attributes,
    write_other_digests,
    swap_vectors_of_some,
)
TOUCHED = UPSERTS + DELETES
OTHERS = COUNTED + SAMPLED
