"""`indexes` and `guard`: where vectors are served, and what a sync may do there by itself.

Belongs here: what a person says of a backend. Does not belong here: talking to one (`indexes`).
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from vector_platform.settings.base import BackendName, Section


class MilvusIndex(Section):
    """Where Milvus is and how its collections are built."""

    uri: str = Field(default="local", description="`local`: the embedded Milvus Lite server.")
    database: str = "default"
    index_type: Literal["AUTOINDEX", "FLAT", "HNSW", "IVF_FLAT", "IVF_SQ8"] = "HNSW"
    index_params: dict[str, int] = {}
    search_params: dict[str, int] = {}
    partitions: int = Field(default=16, ge=1, le=1024, description="Partitions of the tenant key.")
    batch_rows: int = Field(default=1000, ge=1, le=10000)
    max_parallel_requests: int = Field(default=2, ge=1, le=32)


class PineconeIndex(Section):
    """Where Pinecone is and how its indexes are built."""

    host: str = Field(
        default="local",
        description="Control plane URL; `local`: the embedded server; `cloud`: Pinecone itself.",
    )
    cloud: str = "aws"
    region: str = "us-east-1"
    batch_rows: int = Field(default=200, ge=1, le=1000)
    max_parallel_requests: int = Field(default=4, ge=1, le=32)
    verify_fetch_share: float = Field(
        default=1.0,
        ge=0,
        le=1,
        description="Share of the digests that a verify fetches, another one each time; all ids "
        "are listed. A fetch costs a read unit a row.",
    )
    search_namespaces: int = Field(
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


class Guard(Section):
    """Limits a sync may not cross by itself."""

    max_delete_share: float = Field(default=0.10, ge=0, le=1)
    full_proof_hours: float = Field(
        default=24,
        ge=0,
        description="A sync of changes reads back what it touched, and everything when that was "
        "last done longer ago than this.",
    )
