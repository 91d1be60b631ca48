"""`indexes.milvus`: what a person says of Milvus.

Belongs here: its settings, each marked with whether it makes another index.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from vector_platform.settings import STORED, TUNING, BackendSection


class MilvusSettings(BackendSection):
    """Where Milvus is and how its collections are built."""

    uri: Annotated[str, TUNING] = Field(
        default="local", description="`local`: the embedded Milvus Lite server."
    )
    database: Annotated[str, STORED] = "default"
    index_type: Annotated[Literal["AUTOINDEX", "FLAT", "HNSW", "IVF_FLAT", "IVF_SQ8"], STORED] = (
        "HNSW"
    )
    index_params: Annotated[dict[str, int], STORED] = {}
    search_params: Annotated[dict[str, int], TUNING] = {}
    partitions: Annotated[int, STORED] = Field(
        default=16, ge=1, le=1024, description="Partitions of the tenant key."
    )
    batch_rows: Annotated[int, TUNING] = Field(default=1000, ge=1, le=10000)
    max_parallel_requests: Annotated[int, TUNING] = Field(default=2, ge=1, le=32)
