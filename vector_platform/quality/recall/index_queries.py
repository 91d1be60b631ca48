"""The queries an index is judged by: stored vectors of every age and tenant, and golden queries.

Belongs here: choosing and reading them.

Age is what spoils an index that is partitioned by centroids: content that came after a generation
was built lies where it has no centroid, or in a small segment cut into too many cells. So rows are
old or new by whether their vector came after the build. In each cell of age and tenant the rows
with the smallest hashes are taken: as good as random, and the same every time. Tenants beyond the
largest few share one cell.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from vector_platform.lake.lake import Lake
from vector_platform.lake.snapshots import Snapshot
from vector_platform.lake.storage.joins import scan, spilling_duckdb
from vector_platform.quality.retrieval.measures import current_golden

Floats = npt.NDArray[np.float32]

# Fewer than this say little of a cell (see `intervals.py`); more cost seconds.
CELL_QUERIES = 100
# Golden queries asked; of more, those with the smallest hashes.
GOLDEN_QUERIES = 100
# Tenants with cells of their own: with two ages at most 1,400 queries.
NAMED_TENANTS = 6
OLD, NEW = "in the build", "since the build"
OTHERS = "(other tenants)"
GOLDEN = "golden queries"


@dataclass(frozen=True)
class IndexQueries:
    """Queries in a fixed order; every tuple lines up with the rows of `vectors`.

    Attributes:
        vectors: Unit vectors, float32.
        tenants: Tenant that each query is confined to; None for all.
        own_ids: Row that a query is the vector of, which is no answer to it; None for golden ones.
        slices: Names of the slices that each query belongs to.
        weights: Stored rows that each query stands for; 0 for golden ones.
        texts: Texts of golden queries; empty for stored ones, whose text is in the lake.
    """

    vectors: Floats
    tenants: tuple[str | None, ...]
    own_ids: tuple[str | None, ...]
    slices: tuple[tuple[str, ...], ...]
    weights: tuple[float, ...]
    texts: tuple[str, ...]


def index_queries(
    lake: Lake,
    model_version: str,
    snapshot: Snapshot,
    *,
    built_at: datetime,
    encode: Callable[[list[str]], Floats] | None,
) -> IndexQueries:
    """Stored vectors of every age and tenant, and golden queries where there are some.

    Args:
        lake: Where both are.
        model_version: Under which model.
        snapshot: What is stored.
        built_at: When the generation was built: what came later is new to it.
        encode: Unit vectors of query texts under the model; called only with golden queries. None
            where no text can be embedded.
    """
    stored = stored_queries(lake, model_version, snapshot, built_at=built_at)
    golden = None if encode is None else current_golden(lake)
    if golden is None or encode is None:
        return stored
    golden = golden.sample(GOLDEN_QUERIES)
    return together(
        stored,
        golden_index_queries(encode(list(golden.texts)), golden.tenants, golden.texts),
    )


def stored_queries(
    lake: Lake, model_version: str, snapshot: Snapshot, *, built_at: datetime
) -> IndexQueries:
    """Stored vectors, stratified by age and tenant."""
    sampled = _sample(lake, model_version, snapshot, built_at)
    vectors = {
        row["id"]: row["vector"]
        for batch in lake.index_rows(model_version, snapshot, ids=sampled)
        for row in batch.select(["id", "vector"]).to_pylist()
    }
    rows = sampled.to_pylist()
    taken = Counter((row["age"], row["cell"]) for row in rows)
    tenants = {row["cell"] for row in rows}
    ages = {row["age"] for row in rows}
    both = len(tenants) > 1 and len(ages) > 1
    dimension = lake.model_version(model_version).dimension
    return IndexQueries(
        vectors=np.array([vectors[row["id"]] for row in rows], np.float32).reshape(-1, dimension),
        tenants=tuple(row["tenant"] for row in rows),
        own_ids=tuple(row["id"] for row in rows),
        slices=tuple(
            (
                row["age"],
                *([f"tenant {row['cell']}"] if len(tenants) > 1 else []),
                *([f"tenant {row['cell']} {row['age']}"] if both else []),
            )
            for row in rows
        ),
        weights=tuple(row["cell_rows"] / taken[row["age"], row["cell"]] for row in rows),
        texts=("",) * len(rows),
    )


def golden_index_queries(
    vectors: Floats, tenants: Sequence[str | None], texts: Sequence[str]
) -> IndexQueries:
    """Golden queries, embedded by the caller, as a slice of their own."""
    count = len(tenants)
    return IndexQueries(
        vectors,
        tuple(tenants),
        (None,) * count,
        ((GOLDEN,),) * count,
        (0.0,) * count,
        tuple(texts),
    )


def together(one: IndexQueries, other: IndexQueries) -> IndexQueries:
    """All queries of both."""
    return IndexQueries(
        np.concatenate([one.vectors, other.vectors]),
        one.tenants + other.tenants,
        one.own_ids + other.own_ids,
        one.slices + other.slices,
        one.weights + other.weights,
        one.texts + other.texts,
    )


def _sample(lake: Lake, model_version: str, snapshot: Snapshot, built_at: datetime) -> pa.Table:
    """Rows (id, tenant, age, cell, cell_rows), in the order of their ids. Reads no vector."""
    with spilling_duckdb() as db:
        chunks = lake.chunks.dataset(snapshot.chunks)
        db.register("chunks", scan(chunks, ["chunk_id", "tenant", "content_hash"]))
        vectors = lake.vectors(model_version, snapshot.embeddings)
        db.register("vectors", scan(vectors, ["content_hash", "embedded_at"]))
        return db.sql(
            """
            WITH rows AS (
                SELECT c.chunk_id AS id, c.tenant,
                       CASE WHEN v.embedded_at > $built_at THEN $new ELSE $old END AS age
                FROM chunks c JOIN vectors v USING (content_hash)
            ), tenants AS (
                SELECT tenant, row_number() OVER (ORDER BY count(*) DESC, tenant) AS place
                FROM rows GROUP BY tenant
            ), cells AS (
                SELECT id, tenant, age,
                       CASE WHEN place <= $named THEN tenant ELSE $others END AS cell
                FROM rows JOIN tenants USING (tenant)
            ), ranked AS (
                SELECT *, row_number() OVER (PARTITION BY age, cell ORDER BY md5(id), id) AS place,
                       count(*) OVER (PARTITION BY age, cell) AS cell_rows
                FROM cells
            )
            SELECT id, tenant, age, cell, cell_rows FROM ranked WHERE place <= $most ORDER BY id
            """,
            params={
                "built_at": built_at,
                "old": OLD,
                "new": NEW,
                "named": NAMED_TENANTS,
                "others": OTHERS,
                "most": CELL_QUERIES,
            },
        ).to_arrow_table()
