"""Recall of an index's answers, by exact search over the lake.

Belongs here: the one pass over the lake that scores what an index has returned.

The pass keeps the k best scores of every query and the scores of the rows that the index returned.
A returned row counts when it scores no less than the k-th best, so rows of equal text, which tie,
are equally right. A row that is not in the lake, or of another tenant, has no score and counts as
missed.
"""

from __future__ import annotations

from collections import defaultdict

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from vector_platform.lake.lake import Lake
from vector_platform.lake.snapshots import Snapshot
from vector_platform.quality.exact import QUERY_BLOCK, by_tenant, rows_of, vectors_of
from vector_platform.quality.recall.index_queries import IndexQueries

# Two float32 products of the same unit vectors differ by less than this, in any block.
TIE = 1e-6
# Rows multiplied at a time: 1,024 x 4,096 float32 scores are 16 MiB.
ROWS = 4096


def recall_of(
    lake: Lake,
    model_version: str,
    snapshot: Snapshot,
    queries: IndexQueries,
    answers: list[list[str]],
    *,
    k: int,
) -> npt.NDArray[np.float64]:
    """Shares of each query's 1 to k exact neighbours that as much of its answer holds.

    Shape (queries, k): recall@1 to recall@k; NaN where a query has no neighbour. One pass over
    the lake; memory is a batch of rows and a block of scores, whatever it holds.
    """
    dimension = lake.model_version(model_version).dimension
    best = np.full((len(answers), k), -np.inf, np.float32)
    found = np.full((len(answers), k), -np.inf, np.float32)
    returned: dict[str, list[tuple[int, int]]] = defaultdict(list)
    for query, ids in enumerate(answers):
        for place, row_id in enumerate(ids):
            returned[row_id].append((query, place))
    own: dict[str, list[int]] = defaultdict(list)
    for query, own_id in enumerate(queries.own_ids):
        if own_id is not None:
            own[own_id].append(query)
    groups = by_tenant(list(queries.tenants))
    named = pa.array(sorted({*returned, *own}), pa.string())
    for batch in lake.index_rows(model_version, snapshot, batch_rows=ROWS):
        vectors = vectors_of(batch, dimension)
        # Of the ids of the lake, those alone that a query or an answer names are looked at.
        here = np.flatnonzero(pc.is_in(batch.column("id"), named).to_numpy(zero_copy_only=False))
        row_of = dict(zip(batch.column("id").take(here).to_pylist(), here, strict=True))
        for rows, members in rows_of(batch, groups):
            columns = np.searchsorted(rows, here)
            inside = rows[np.minimum(columns, len(rows) - 1)] == here
            column_of = dict(zip(row_of, columns, strict=True))
            mine = [row_id for row_id, there in zip(row_of, inside, strict=True) if there]
            for start in range(0, len(members), QUERY_BLOCK):
                block = members[start : start + QUERY_BLOCK]
                scores = queries.vectors[block] @ vectors[rows].T
                line_of = {int(member): line for line, member in enumerate(block)}
                for row_id in mine:
                    for query in own.get(row_id, ()):
                        if query in line_of:
                            scores[line_of[query], column_of[row_id]] = -np.inf
                both = np.concatenate([best[block], scores], axis=1)
                best[block] = np.partition(both, both.shape[1] - k, axis=1)[:, -k:]
                for row_id in mine:
                    for query, place in returned.get(row_id, ()):
                        if query in line_of:
                            found[query, place] = scores[line_of[query], column_of[row_id]]
    best = -np.sort(-best, axis=1)
    there = np.isfinite(best)
    expected = there.cumsum(axis=1)
    # The score of the j-th neighbour, or of the last where there are fewer.
    least = np.minimum.accumulate(np.where(there, best, np.inf), axis=1)
    right = np.isfinite(found)[:, None, :] & (found[:, None, :] >= least[:, :, None] - TIE)
    hits = (right & np.tri(k, dtype=bool)).sum(axis=2)
    with np.errstate(invalid="ignore"):
        shares: npt.NDArray[np.float64] = np.where(
            expected > 0, np.minimum(hits, expected) / np.maximum(expected, 1), np.nan
        )
    return shares
