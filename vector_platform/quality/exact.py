"""Exact nearest documents, straight from the lake: the truth that an index is judged by.

Belongs here: brute-force cosine over a snapshot's vectors in bounded memory.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from vector_platform.errors import TerminalError
from vector_platform.lake.lake import Lake
from vector_platform.lake.snapshots import Snapshot

Floats = npt.NDArray[np.float32]

# Queries multiplied at a time: 1,024 x 8,192 float32 scores are 32 MB.
QUERY_BLOCK = 1024
# Twice the worst rounding of a float32 product of unit vectors: 2 x 800 dimensions x 2^-24.
PRODUCT_ERROR = 1e-4


class DimensionMismatch(TerminalError):
    """Query vectors that do not have the model version's dimension."""


@dataclass(frozen=True)
class ScoredDoc:
    """A document and the cosine similarity of its best chunk."""

    doc_id: str
    score: float


def best_per_document(scored: Iterable[tuple[str, float]], k: int | None = None) -> list[ScoredDoc]:
    """Collapse (doc_id, score) pairs of chunks to documents: best chunk wins, ties by id."""
    best: dict[str, float] = {}
    for doc_id, score in scored:
        if score > best.get(doc_id, -np.inf):
            best[doc_id] = score
    ranked = sorted(best.items(), key=lambda item: (-item[1], item[0]))
    return [ScoredDoc(doc_id, score) for doc_id, score in ranked[:k]]


def exact_top_k(
    lake: Lake,
    model_version: str,
    snapshot: Snapshot,
    queries: Floats,
    *,
    k: int,
    tenants: Sequence[str | None] | None = None,
) -> list[list[ScoredDoc]]:
    """The k most similar documents of every query, exactly.

    A float32 matrix product proposes candidates with a margin, and a float64 product of the two
    vectors alone decides, so neither the order nor the size of the batches changes a score, a
    tie or a rank. Memory: one batch of rows and one block of scores, whatever the lake holds.

    Args:
        lake: Where the vectors are.
        model_version: Whose vectors.
        snapshot: Which state of the lake.
        queries: Unit vectors, shape (queries, dimension), float32.
        k: Documents for each query.
        tenants: For each query the tenant it is confined to, or None for all; None for all
            queries unconfined.

    Returns:
        One list a query, best first, ties by document id; shorter than k where the tenant (or
        the lake) holds fewer documents.

    Raises:
        DimensionMismatch: The queries are of another model.
        SnapshotIncomplete: Some chunks have no vector.
    """
    dimension = lake.model_version(model_version).dimension
    if queries.ndim != 2 or queries.shape[1] != dimension:
        raise DimensionMismatch(
            f"query vectors have shape {queries.shape}, {model_version} has {dimension} dimensions"
        )
    confined = list(tenants) if tenants is not None else [None] * len(queries)
    if len(confined) != len(queries):
        raise ValueError(f"{len(confined)} tenants for {len(queries)} queries")
    groups = by_tenant(confined)
    tops = [_Top(k) for _ in range(len(queries))]
    for batch in lake.index_rows(model_version, snapshot):
        vectors = vectors_of(batch, dimension)
        documents = batch.column("doc_id").dictionary_encode()
        codes = documents.indices.to_numpy()
        for rows, members in rows_of(batch, groups):
            # The rows of a document side by side.
            rows = rows[np.argsort(codes[rows], kind="stable")]
            own, some = codes[rows], vectors[rows]
            for start in range(0, len(members), QUERY_BLOCK):
                block = members[start : start + QUERY_BLOCK]
                _offer(queries, block, some, own, documents.dictionary, tops)
    return [top.ranking() for top in tops]


class _Top:
    """The best documents of one query so far."""

    def __init__(self, k: int) -> None:
        self.k = k
        self.floor = -np.inf
        self._best: dict[str, float] = {}

    def offer(self, doc_id: str, score: float) -> None:
        if score > self._best.get(doc_id, -np.inf):
            self._best[doc_id] = score

    def settle(self) -> None:
        kept = self.ranking()
        self._best = {doc.doc_id: doc.score for doc in kept}
        self.floor = kept[-1].score if len(kept) == self.k else -np.inf

    def ranking(self) -> list[ScoredDoc]:
        return best_per_document(self._best.items(), self.k)


def by_tenant(tenants: list[str | None]) -> list[tuple[str | None, npt.NDArray[np.intp]]]:
    """Places of the queries of each tenant; None stands for queries of all tenants."""
    order = sorted(range(len(tenants)), key=lambda i: (tenants[i] is not None, tenants[i] or "", i))
    return [
        (tenant, np.fromiter(members, np.intp))
        for tenant, members in groupby(order, key=lambda i: tenants[i])
    ]


def rows_of(
    batch: pa.RecordBatch, groups: Sequence[tuple[str | None, npt.NDArray[np.intp]]]
) -> Iterator[tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]]:
    """For each group of `by_tenant` that a batch has rows for: places of rows, and of queries."""
    named = pa.array([tenant for tenant, _ in groups if tenant is not None], pa.string())
    codes = pc.index_in(batch.column("tenant"), named).fill_null(-1).to_numpy()
    code = 0
    for tenant, members in groups:
        rows = np.arange(batch.num_rows) if tenant is None else np.flatnonzero(codes == code)
        code += tenant is not None
        if len(rows):
            yield rows, members


def vectors_of(batch: pa.RecordBatch, dimension: int) -> Floats:
    """The vectors of a batch of index rows as one float32 array."""
    flat = batch.column("vector").flatten().to_numpy(zero_copy_only=False)
    return np.ascontiguousarray(flat.reshape(batch.num_rows, dimension), dtype=np.float32)


def _offer(
    queries: Floats,
    members: npt.NDArray[np.intp],
    vectors: Floats,
    codes: npt.NDArray[np.int32],
    documents: pa.Array,
    tops: list[_Top],
) -> None:
    """Let the rows of a batch compete for the places of some queries.

    `codes` tell the document of each row, in order; names are read of those that win a place.
    """
    starts = np.flatnonzero(np.append(True, codes[1:] != codes[:-1]))
    scores = queries[members] @ vectors.T
    best = np.maximum.reduceat(scores, starts, axis=1)
    k = tops[members[0]].k
    if best.shape[1] > k:
        cut = np.partition(best, best.shape[1] - k, axis=1)[:, best.shape[1] - k]
    else:
        cut = np.full(len(members), -np.inf)
    floors = np.array([tops[member].floor for member in members])
    bars = np.maximum(cut, floors) - PRODUCT_ERROR
    for place, column in zip(*np.nonzero(scores >= bars[:, None]), strict=True):
        query = members[place]
        exact = np.multiply(queries[query], vectors[column], dtype=np.float64).sum()
        tops[query].offer(documents[int(codes[column])].as_py(), float(np.float32(exact)))
    for member in members:
        tops[member].settle()
