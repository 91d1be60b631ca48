"""`indexes.pinecone`: what a person says of Pinecone.

Belongs here: its settings, each marked with whether it makes another index.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from vector_platform.settings import STORED, TUNING, BackendSection


class PineconeSettings(BackendSection):
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
        description="Tenants that a search asks at most, each a request. One that names more is "
        "refused; one of all tenants asks the largest, and its answer says when it has not asked "
        "all.",
    )

    @property
    def is_embedded(self) -> bool:
        """See `host`."""
        return self.host == "local"

    @property
    def proof_share(self) -> float:
        """See `verify_fetch_share`."""
        return self.verify_fetch_share
