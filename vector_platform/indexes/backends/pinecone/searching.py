"""Searches of one generation: of the namespaces of its tenants, or of the largest ones.

Belongs here: which namespaces a search asks, and the best of their answers.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from vector_platform.indexes.backends.pinecone.filters import document_filter
from vector_platform.indexes.backends.pinecone.names import namespace_name
from vector_platform.indexes.backends.pinecone.requests.calls import IndexCalls
from vector_platform.indexes.backends.pinecone.terms import tenants_in
from vector_platform.indexes.contract import (
    BoundedHits,
    Generation,
    Hit,
    IndexRejected,
    Scope,
    TooManyTenants,
)
from vector_platform.indexes.filtering.conditions import Condition
from vector_platform.indexes.filtering.narrowing import narrowed
from vector_platform.indexes.parallel import Parallel
from vector_platform.indexes.stored_rows import HIT_FIELDS, best, hit_of

# Documents that Pinecone gives in one answer at most.
HITS_A_SEARCH: Final = 10_000


def search(
    index: IndexCalls,
    generation: Generation,
    vector: np.ndarray,
    *,
    k: int,
    scope: Scope,
    where: Condition | None,
    most: int,
    pool: Parallel,
) -> list[Hit]:
    """The k nearest rows by cosine: the best of every namespace's best.

    A namespace is a request. Of named tenants each is asked, and more of them than `most` are
    refused; of all tenants the largest are asked, at most so many: then the answer is
    `BoundedHits`.

    Args:
        index: Requests to the Pinecone index.
        generation: Which.
        vector: The query.
        k: Rows at most.
        scope: Whose; not empty.
        where: The condition that hits meet; None for every row.
        most: Namespaces that are asked at most.
        pool: The pool that requests are made from.

    Raises:
        IndexRejected: A tenant can have no rows here, or too many are named.
    """
    values = np.asarray(vector, np.float32).tolist()

    meant = None if where is None else document_filter(where)

    def nearest(namespace: str) -> list[Hit]:
        def hits(most: int) -> list[Hit]:
            found = index.search(namespace, values, k=most, fields=HIT_FIELDS, where=meant)
            return [hit_of(match.id, match.score or 0.0, match.to_dict()) for match in found]

        return narrowed(hits, where, k=k, most=HITS_A_SEARCH)

    if not scope.unconfined:
        if len(scope.tenants) > most:
            raise TooManyTenants(
                f"{index.where}: the search names {len(scope.tenants)} tenants, each a request, "
                f"and at most {most} are made: ask for fewer tenants, or raise "
                "indexes.pinecone.search_namespaces"
            )
        namespaces = [_namespace(index, tenant, generation) for tenant in sorted(scope.tenants)]
        if len(namespaces) == 1:  # maybe from a thread of the pool, which must not wait for another
            return _best([nearest(namespaces[0])], k)
        return _best(pool.each(nearest, namespaces), k)
    counts = index.statistics()
    own = sorted(tenants_in(counts, generation).values(), key=lambda name: (-counts[name], name))
    asked = own[:most]
    hits = _best(pool.each(nearest, asked), k)
    if len(asked) == len(own):
        return hits
    return BoundedHits(hits, asked=len(asked), tenants=len(own), looked_at=_looked_at(hits))


def _namespace(index: IndexCalls, tenant: str, generation: Generation) -> str:
    try:
        return namespace_name(tenant, generation.name)
    except ValueError as error:
        raise IndexRejected(f"{index.where}: {error}") from error


def _best(found: Sequence[list[Hit]], k: int) -> list[Hit]:
    """The best hits of several namespaces, bounded where one of them is."""
    hits = best((hit for part in found for hit in part), k)
    looked_at = [at for part in found if (at := _looked_at(part)) is not None]
    return BoundedHits(hits, looked_at=max(looked_at)) if looked_at else hits


def _looked_at(hits: list[Hit]) -> int | None:
    return hits.looked_at if isinstance(hits, BoundedHits) else None
