"""Collections of generations: how they are made, and how the platform's are told from others.

Belongs here: a collection's schema, index and mark.
"""

from __future__ import annotations

import json
from typing import Any, Final

from pymilvus import DataType, MilvusClient

from vector_platform.indexes.backends.milvus.calls import MilvusCalls
from vector_platform.indexes.backends.milvus.names import collection_generation, collection_name
from vector_platform.indexes.backends.milvus.rows import FIELD_BYTES
from vector_platform.indexes.backends.milvus.settings import MilvusSettings
from vector_platform.indexes.backends.milvus.terms import build_params, collection_mark, read_mark
from vector_platform.indexes.contract import Claim, Generation
from vector_platform.indexes.marks import is_marked, mark, marked_for, require_mark

# What the mark of a collection from before lakes had an identity lacks.
_NEW: Final = ("lake", "generation")


def create_collection(calls: MilvusCalls, generation: Generation, partitions: int) -> None:
    """Make the generation's collection, empty and marked."""
    calls.call(
        "create_collection",
        collection_name(generation),
        schema=_schema(generation),
        num_partitions=partitions,
        consistency_level="Bounded",
        properties=collection_mark(generation),
    )


def create_index(calls: MilvusCalls, generation: Generation, settings: MilvusSettings) -> None:
    """Make the index that searches of the generation's collection go through."""
    params = MilvusClient.prepare_index_params()
    params.add_index(
        "vector",
        index_type=settings.index_type,
        metric_type="COSINE",
        params=build_params(settings),
    )
    calls.call("create_index", collection_name(generation), params)


def write_mark(calls: MilvusCalls, generation: Generation, stamp: str) -> None:
    """Say on the collection whose it is, and who writes it now. Only properties can be altered.

    Raises:
        NotOurs: The platform did not make it, or not for this generation.
    """
    name, wanted = collection_name(generation), collection_mark(generation)
    found = mark_of(calls, name)
    taken_over = (
        None if found is None else found | {key: wanted[key] for key in _NEW if key in wanted}
    )
    require_mark(taken_over, wanted, f"{calls.where}: collection {name!r}")
    calls.call("alter_collection_properties", name, wanted | {"stamp": stamp})


def mark_of(calls: MilvusCalls, name: str) -> dict[str, str] | None:
    """The mark of a collection; None when the platform did not create it."""
    return read_mark(calls.call("describe_collection", name))


def claims(calls: MilvusCalls, index: str) -> list[Claim]:
    """Collections of a logical index that bear the platform's mark, by name."""
    found = []
    for name in sorted(calls.call("list_collections")):
        generation = collection_generation(index, name)
        said = mark_of(calls, name) if generation else None
        if generation and said is not None and is_marked(said, index):
            found.append(Claim(marked_for(said, index, generation), said.get("stamp", "")))
    return found


def require_own(calls: MilvusCalls, generation: Generation) -> None:
    """See that the generation's collection was made by the platform, and for this generation.

    Raises:
        NotOurs: It was not.
    """
    name = collection_name(generation)
    # One from before lakes had an identity, which adopting reads, does not say which one it is.
    wanted = collection_mark(generation) if generation.lake else mark(generation)
    require_mark(mark_of(calls, name), wanted, f"{calls.where}: collection {name!r}")


def _schema(generation: Generation) -> Any:
    schema = MilvusClient.create_schema(
        auto_id=False,
        enable_dynamic_field=False,
        description=json.dumps(collection_mark(generation)),
    )
    for field, size in FIELD_BYTES.items():
        schema.add_field(
            field,
            DataType.VARCHAR,
            max_length=size,
            is_primary=field == "id",
            is_partition_key=field == "tenant",
        )
    schema.add_field("attributes", DataType.JSON)
    schema.add_field("vector", DataType.FLOAT_VECTOR, dim=generation.dimension)
    return schema
