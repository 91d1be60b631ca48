"""Collections of generations: how they are made, and how the platform's are told from others.

Belongs here: a collection's schema, index and mark. Does not belong here: names (`naming.py`),
how a mark is written (`milvus_terms.py`), or when one is made, aliased or dropped (`milvus.py`).
"""

from __future__ import annotations

import json
from typing import Any

from pymilvus import DataType, MilvusClient

from vector_platform.indexes.contract import Generation, IndexRejected
from vector_platform.indexes.milvus_calls import MilvusCalls
from vector_platform.indexes.milvus_terms import build_params, mark, read_mark
from vector_platform.indexes.naming import collection_name
from vector_platform.indexes.stored_rows import MILVUS_FIELD_BYTES
from vector_platform.settings import MilvusIndex as MilvusSettings


def create_collection(calls: MilvusCalls, generation: Generation, partitions: int) -> None:
    """Make the generation's collection, empty and marked."""
    calls.call(
        "create_collection",
        collection_name(generation),
        schema=_schema(generation),
        num_partitions=partitions,
        consistency_level="Bounded",
        properties=mark(generation),
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


def mark_of(calls: MilvusCalls, name: str) -> dict[str, str] | None:
    """The mark of a collection; None when the platform did not create it."""
    return read_mark(calls.call("describe_collection", name))


def require_own(calls: MilvusCalls, generation: Generation) -> None:
    """See that the generation's collection was made by the platform, and for this generation.

    Raises:
        IndexRejected: It was not.
    """
    name, wanted = collection_name(generation), mark(generation)
    found = mark_of(calls, name)
    if found is None:
        raise IndexRejected(
            f"{calls.where}: collection {name!r} exists and the platform did not create it; "
            "rename it, or give the index another name"
        )
    odd = [key for key, value in wanted.items() if found.get(key) != value]
    if odd:
        shown = ", ".join(f"{key} {found.get(key)!r} instead of {wanted[key]!r}" for key in odd)
        raise IndexRejected(
            f"{calls.where}: collection {name!r} was built for something else: {shown}"
        )


def _schema(generation: Generation) -> Any:
    schema = MilvusClient.create_schema(
        auto_id=False, enable_dynamic_field=False, description=json.dumps(mark(generation))
    )
    for field, size in MILVUS_FIELD_BYTES.items():
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
