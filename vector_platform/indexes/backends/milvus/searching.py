"""Searches of one collection: many vectors a request, with or without the rows' fields.

Belongs here: what a search asks and how its answer becomes hits.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

import numpy as np

from vector_platform.indexes.backends.milvus.calls import Consistency, MilvusCalls
from vector_platform.indexes.backends.milvus.filters import (
    UNFILTERED,
    Filter,
    among,
    meeting,
    of_tenant,
)
from vector_platform.indexes.backends.milvus.rows import FIELD_BYTES
from vector_platform.indexes.backends.milvus.settings import MilvusSettings
from vector_platform.indexes.backends.milvus.terms import negates_ranges, search_params
from vector_platform.indexes.contract import Hit, IndexRejected, Scope, TooManyTenants
from vector_platform.indexes.filtering.conditions import Condition
from vector_platform.indexes.filtering.narrowing import narrowed
from vector_platform.indexes.stored_rows import HIT_FIELDS, best, hit_of

# Queries of a search that brings back ids: 100 of 4,096 dimensions are 1.6 MiB.
SEARCHES_A_REQUEST: Final = 100
# Rows that Milvus gives for one vector at most.
HITS_A_SEARCH: Final = 16_384
# Tenants that a search names at most: a filter of 128 KiB.
TENANTS_A_SEARCH: Final = 1000


class Searches:
    """Searches by cosine, as the settings say.

    Args:
        calls: Requests to the server.
        settings: How much a search looks at.
    """

    def __init__(self, calls: MilvusCalls, settings: MilvusSettings) -> None:
        self._milvus = calls
        self._settings = settings

    def hits(
        self,
        collection: str,
        vector: np.ndarray,
        *,
        k: int,
        scope: Scope,
        where: Condition | None = None,
        consistency: Consistency = "Bounded",
    ) -> list[Hit]:
        """The k nearest rows of one vector that meet a condition, with their fields."""
        vectors = np.asarray(vector, np.float32)[None, :]
        meant = _within(scope)
        if where is not None:
            meant &= meeting(where, negates_ranges=negates_ranges(self._milvus.version))

        def nearest(most: int) -> list[Hit]:
            [found] = self._matches(collection, vectors, most, meant, HIT_FIELDS, consistency)
            return best((hit_of(hit["id"], hit["distance"], hit["entity"]) for hit in found), most)

        return narrowed(nearest, where, k=k, most=HITS_A_SEARCH)

    def ids(
        self, collection: str, vectors: np.ndarray, *, k: int, scope: Scope
    ) -> Iterator[list[str]]:
        """Ids of the k nearest rows of each vector."""
        meant = _within(scope)
        for start in range(0, len(vectors), SEARCHES_A_REQUEST):
            page = vectors[start : start + SEARCHES_A_REQUEST]
            for found in self._matches(collection, page, k, meant, (), "Bounded"):
                yield [hit["id"] for hit in found]

    def _matches(
        self,
        collection: str,
        vectors: np.ndarray,
        k: int,
        meant: Filter,
        fields: Sequence[str],
        consistency: Consistency,
    ) -> Any:
        """What a search answers, for every vector."""
        return self._milvus.search(
            collection,
            meant,
            data=list(np.asarray(vectors, np.float32)),
            anns_field="vector",
            limit=k,
            output_fields=list(fields),
            search_params={"metric_type": "COSINE", "params": search_params(self._settings, k)},
            consistency=consistency,
        )


def _within(scope: Scope) -> Filter:
    """Rows of a scope that is not empty.

    Raises:
        IndexRejected: There are more tenants than one search asks, or one can have no rows.
    """
    if scope.unconfined:
        return UNFILTERED
    tenants = sorted(map(_storable, scope.tenants))
    if len(tenants) > TENANTS_A_SEARCH:
        raise TooManyTenants(
            f"the search names {len(tenants)} tenants, Milvus is asked for {TENANTS_A_SEARCH} at "
            "once: ask for fewer, and join the answers by their scores"
        )
    return of_tenant(tenants[0]) if len(tenants) == 1 else among("tenant", tenants)


def _storable(tenant: str) -> str:
    """The tenant of a search.

    Raises:
        IndexRejected: It is longer than any that a row has.
    """
    size, most = len(tenant.encode(errors="surrogatepass")), FIELD_BYTES["tenant"]
    if size > most:
        raise IndexRejected(f"tenant {tenant[:40]!r}... has {size} bytes, Milvus takes {most}")
    return tenant
