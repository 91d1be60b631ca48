"""Searches of one generation: of a tenant's namespace, or of the largest ones together.

Belongs here: which namespaces a search asks, and the best of their answers.
"""

from __future__ import annotations

import numpy as np

from vector_platform.indexes.backends.pinecone.calls import IndexCalls
from vector_platform.indexes.backends.pinecone.names import namespace_name
from vector_platform.indexes.backends.pinecone.terms import tenants_in
from vector_platform.indexes.contract import BoundedHits, Generation, Hit, IndexRejected
from vector_platform.indexes.parallel import Parallel
from vector_platform.indexes.stored_rows import HIT_FIELDS, best, hit_of


def search(
    index: IndexCalls,
    generation: Generation,
    vector: np.ndarray,
    *,
    k: int,
    tenant: str | None,
    most: int,
    pool: Parallel,
) -> list[Hit]:
    """The k nearest rows by cosine; over all tenants, the best of every namespace's best.

    A namespace is a request, so of many tenants the largest are asked, at most so many; then the
    answer is `BoundedHits`.

    Args:
        index: Requests to the Pinecone index.
        generation: Which.
        vector: The query.
        k: Rows at most.
        tenant: Whose; None for all.
        most: Namespaces that are asked at most.
        pool: The pool that requests are made from.

    Raises:
        IndexRejected: The tenant can have no rows here.
    """
    values = np.asarray(vector, np.float32).tolist()

    def nearest(namespace: str) -> list[Hit]:
        matches = index.search(namespace, values, k=k, fields=HIT_FIELDS)
        return [hit_of(match.id, match.score or 0.0, match.to_dict()) for match in matches]

    if tenant is not None:
        try:
            return best(nearest(namespace_name(tenant, generation.name)), k)
        except ValueError as error:
            raise IndexRejected(f"{index.where}: {error}") from error
    counts = index.statistics()
    own = sorted(tenants_in(counts, generation).values(), key=lambda name: (-counts[name], name))
    asked = own[:most]
    hits = best((hit for hits in pool.each(nearest, asked) for hit in hits), k)
    if len(asked) == len(own):
        return hits
    return BoundedHits(hits, asked=len(asked), tenants=len(own))
