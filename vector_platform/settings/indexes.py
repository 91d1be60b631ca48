"""`indexes` and `guard`: where vectors are served, and what a sync may do there by itself.

Belongs here: what a person says of a backend, and which of it makes another index.

Every setting of a backend is either `STORED` (changing it changes what is stored, how or where, so
that a generation built with it is another index, which a release has to judge) or `TUNING` (how it
is reached, asked and filled; a live generation is served with it from the next call on).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal

from pydantic import Field, StringConstraints

from vector_platform.settings.base import BackendName, Section

STORED: Final = "stored"
TUNING: Final = "tuning"


class BackendSection(Section):
    """Settings of one backend, each marked `STORED` or `TUNING`."""

    @classmethod
    def stored_settings(cls) -> set[str]:
        """Names of the settings that make another index."""
        return {name for name, field in cls.model_fields.items() if STORED in field.metadata}

    def spec(self) -> dict[str, Any]:
        """What the index is built with: the settings that make another index."""
        return self.model_dump(mode="json", include=self.stored_settings())


class MilvusIndex(BackendSection):
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


class PineconeIndex(BackendSection):
    """Where Pinecone is and how its indexes are built."""

    host: Annotated[str, TUNING] = Field(
        default="local",
        description="Control plane URL; `local`: the embedded server; `cloud`: Pinecone itself.",
    )
    cloud: Annotated[str, STORED] = "aws"
    region: Annotated[str, STORED] = "us-east-1"
    batch_rows: Annotated[int, TUNING] = Field(default=200, ge=1, le=1000)
    max_parallel_requests: Annotated[int, TUNING] = Field(default=4, ge=1, le=32)
    verify_fetch_share: Annotated[float, TUNING] = Field(
        default=1.0,
        ge=0,
        le=1,
        description="Share of the digests that a verify fetches, another one each time; all ids "
        "are listed. A fetch costs a read unit a row.",
    )
    search_namespaces: Annotated[int, TUNING] = Field(
        default=100,
        ge=1,
        description="Tenants that a search without a tenant asks at most, the largest; a namespace "
        "is a request. The answer says when it has not asked all.",
    )


class Indexes(Section):
    """The index every backend serves, one section a backend; a section left out is not used."""

    name: Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9]{0,19}$")] = "documents"
    milvus: MilvusIndex | None = MilvusIndex()
    pinecone: PineconeIndex | None = PineconeIndex()

    @property
    def backends(self) -> tuple[BackendName, ...]:
        """Names of the backends that are configured."""
        names: tuple[BackendName, ...] = ("milvus", "pinecone")
        return tuple(name for name in names if getattr(self, name) is not None)


def stored_of(backend: str, recorded: str) -> dict[str, Any]:
    """What a recorded spec says of what is stored.

    A spec that was recorded with a setting that is `TUNING` today is the same without it.
    """
    spec: Mapping[str, Any] = json.loads(recorded)
    sections: dict[str, type[BackendSection]] = {"milvus": MilvusIndex, "pinecone": PineconeIndex}
    stored = sections[backend].stored_settings()
    return {name: value for name, value in spec.items() if name in stored}


class Guard(Section):
    """Limits a sync may not cross by itself."""

    max_delete_share: float = Field(default=0.10, ge=0, le=1)
    full_proof_hours: float = Field(
        default=24,
        ge=0,
        description="A sync of changes reads back what it touched, and everything when that was "
        "last done longer ago than this.",
    )
    wait_seconds: float = Field(
        default=3600,
        ge=0,
        description="So long a run waits for another one that writes the same generation. Then it "
        "fails, and is tried again.",
    )
