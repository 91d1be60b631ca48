"""The driver that aligns stored vectors and hands them over in commits.

Belongs here: windows, validation, progress, the report. `models/embed.py` does the same with
texts; here no text is read and no model runs, so a million vectors take minutes.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from vector_platform.models.base import Vectors
from vector_platform.models.derived.versions import DerivedEmbedder
from vector_platform.models.embed import check_vectors, vector_table
from vector_platform.models.errors import ModelError


@dataclass(frozen=True)
class AlignReport:
    """What a run did.

    Attributes:
        vectors: Vectors aligned and committed.
        commits: Number of commits.
        seconds: Wall time, reading and committing included.
    """

    vectors: int
    commits: int
    seconds: float


def align_missing(
    embedder: DerivedEmbedder,
    batches: Iterable[pa.RecordBatch],
    *,
    run_id: str,
    commit: Callable[[pa.Table], None],
    on_progress: Callable[[int], None] | None = None,
) -> AlignReport:
    """Align vectors of the old model and commit them batch by batch.

    A killed run loses at most one batch: the caller computes what is missing from what was
    committed and calls again. Memory is bounded by the batch.

    Args:
        embedder: The provisional model version.
        batches: Columns `content_hash` and `vector` (the old model's); each content once.
        run_id: Goes into every row.
        commit: Writes a table of the schema `lake.contract.EMBEDDINGS`; it must be durable when
            this returns.
        on_progress: Called after each commit with the vectors committed so far.

    Raises:
        ContractError: A aligned vector breaks the contract; nothing of its batch is committed.
    """
    if embedder.document_map is None:
        raise ModelError(embedder.name, "is not aligned from another model version")
    started = time.perf_counter()
    vectors = commits = 0
    for batch in batches:
        hashes = batch.column("content_hash").to_pylist()
        aligned = embedder.document_map.apply(
            matrix_of(batch.column("vector"), embedder.documents.dimension)
        )
        check_vectors(embedder, hashes, aligned)
        commit(vector_table(embedder, hashes, aligned, run_id=run_id))
        vectors += len(hashes)
        commits += 1
        if on_progress:
            on_progress(vectors)
    return AlignReport(vectors, commits, time.perf_counter() - started)


def matrix_of(column: pa.Array, dimension: int) -> Vectors:
    """A column of vectors as a float32 matrix."""
    flat = column.flatten().to_numpy(zero_copy_only=False)
    return np.ascontiguousarray(flat.reshape(len(column), dimension), dtype=np.float32)
