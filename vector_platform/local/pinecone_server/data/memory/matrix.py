"""The dense vectors of one namespace in memory, scanned exactly.

Belongs here: float32 rows by slot, and their scores against a query. Search is exact on purpose: a
local server is where correctness is judged, and numpy scans a hundred thousand rows of 384
dimensions in about 10 ms.
"""

from __future__ import annotations

from typing import Any

import numpy as np

Vector = np.ndarray[Any, np.dtype[np.float32]]
Scores = np.ndarray[Any, np.dtype[np.float32]]

#: Rows in a full block. Growing by blocks never copies what is there, so memory never peaks at
#: twice the data; the first block grows by doubling, so that a small namespace stays small.
BLOCK_ROWS = 8192
_FIRST_ROWS = 4


class Matrix:
    """Rows of one dimension, addressed by slot number.

    Args:
        dimension: Length of a row.
        metric: `cosine` rows are stored with unit length.
    """

    def __init__(self, dimension: int, metric: str) -> None:
        self.dimension = dimension
        self.metric = metric
        self._blocks: list[Vector] = []

    def prepared(self, vectors: Vector) -> Vector:
        """Scale to unit length for cosine; leave as is otherwise. Shape `(..., dimension)`."""
        if self.metric != "cosine":
            return vectors
        norms = np.linalg.norm(vectors.astype(np.float64), axis=-1, keepdims=True)
        return np.asarray(vectors / np.where(norms > 0, norms, 1.0), np.float32)

    def put(self, slot: int, vectors: Vector) -> None:
        """Set the rows of consecutive slots, the first at most one past the highest so far.

        Args:
            slot: The first slot.
            vectors: Shape `(rows, dimension)`.
        """
        prepared, done = self.prepared(vectors), 0
        while done < len(prepared):
            block, row = divmod(slot + done, BLOCK_ROWS)
            count = min(BLOCK_ROWS - row, len(prepared) - done)
            self._reserve(block, row + count - 1)
            self._blocks[block][row : row + count] = prepared[done : done + count]
            done += count

    def _reserve(self, block: int, row: int) -> None:
        if block == len(self._blocks):
            rows = _FIRST_ROWS if block == 0 else BLOCK_ROWS
            self._blocks.append(np.zeros((rows, self.dimension), np.float32))
        have = self._blocks[block]
        if row >= len(have):
            rows = min(BLOCK_ROWS, max(2 * len(have), row + 1))
            grown = np.zeros((rows, self.dimension), np.float32)
            grown[: len(have)] = have
            self._blocks[block] = grown

    def scores(self, query: Vector, rows: int) -> Scores:
        """Score the first `rows` slots; higher is nearer.

        Returns:
            Shape `(rows,)`: cosine, dot product, or minus the squared Euclidean distance.
        """
        prepared = self.prepared(query)
        found = [self._block_scores(block, prepared) for block in self._blocks]
        return np.concatenate(found)[:rows] if found else np.zeros(0, np.float32)

    def _block_scores(self, block: Vector, query: Vector) -> Scores:
        if self.metric == "euclidean":
            difference = block - query
            distances: Scores = np.einsum("ij,ij->i", difference, difference)
            return -distances
        return np.asarray(block @ query)

    def score_of(self, query: Vector, vector: Vector) -> float:
        """Score one vector that is not in the matrix, by the same rule."""
        stacked = self.prepared(vector)[np.newaxis]
        return float(self._block_scores(stacked, self.prepared(query))[0])
