"""Affine maps of unit vectors, and fitting one from a model's vectors to another's.

Belongs here: the map, its file, fitting it on texts embedded with both models, and how well it
keeps the new model's neighbours; pure numpy. Two families are tried and held-out pairs decide:
ridge regression with an intercept, which may bend the space, and orthogonal Procrustes, which may
only turn it and so needs fewer pairs.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from vector_platform.models.base import Vectors

Matrix = npt.NDArray[np.float64]

MAP_FILE = "map.safetensors"
# Rows of every matrix product. One shape for all, filled up with zeros: a vector's bits must not
# depend on how many others were aligned with it.
BLOCK_ROWS = 1024
# Penalties of the ridge, as shares of the old vectors' mean variance.
RIDGE_STRENGTHS = (0.003, 0.01, 0.03, 0.1, 0.3, 1.0)
# One pair in five chooses between the candidates; the choice is then fitted on all of them.
CHOOSING_SHARE = 0.2
NEIGHBOURS = 10


@dataclass(frozen=True)
class VectorMap:
    """An affine map, followed by scaling to unit norm.

    Attributes:
        matrix: Shape (old dimension, new dimension).
        offset: Shape (new dimension,).
        method: How it was fitted, e.g. `ridge 0.1`.
    """

    matrix: Matrix
    offset: Matrix
    method: str

    @property
    def digest(self) -> str:
        """SHA-256 over the numbers."""
        numbers = hashlib.sha256(np.ascontiguousarray(self.matrix).tobytes())
        numbers.update(np.ascontiguousarray(self.offset).tobytes())
        return numbers.hexdigest()

    def apply(self, vectors: Vectors) -> Vectors:
        """Map rows and scale them to unit norm; rows of zeros (no vector) stay as they are.

        Computed in float64 and in blocks of one shape: a row's bits depend on the row alone.
        """
        aligned = np.empty((len(vectors), self.matrix.shape[1]), dtype=np.float32)
        block = np.zeros((BLOCK_ROWS, self.matrix.shape[0]), dtype=np.float64)
        for start in range(0, len(vectors), BLOCK_ROWS):
            rows = vectors[start : start + BLOCK_ROWS]
            block[: len(rows)] = rows
            block[len(rows) :] = 0.0
            product = block @ self.matrix + self.offset
            norms = np.linalg.norm(product, axis=1, keepdims=True)
            product /= np.where(norms > 0, norms, 1.0)
            product[~block.any(axis=1)] = 0.0
            aligned[start : start + BLOCK_ROWS] = product[: len(rows)]
        return aligned

    def save(self, folder: Path) -> None:
        """Write the map to a folder; equal maps give equal bytes."""
        from safetensors.numpy import save_file

        tensors = {"matrix": self.matrix, "offset": self.offset}
        save_file(tensors, folder / MAP_FILE, metadata={"method": self.method})


def load_map(folder: Path) -> VectorMap:
    """Read a map that `VectorMap.save` wrote."""
    from safetensors import safe_open

    with safe_open(folder / MAP_FILE, framework="numpy") as file:
        method = (file.metadata() or {}).get("method", "")
        return VectorMap(file.get_tensor("matrix"), file.get_tensor("offset"), method)


def fit_alignment(old: Vectors, new: Vectors) -> VectorMap:
    """The map that keeps most of the new model's neighbours on pairs it has not seen.

    Args:
        old: Unit vectors of the old model, in an order that says nothing (by content hash).
        new: The new model's vectors of the same texts.
    """
    cut = len(old) - max(1, round(len(old) * CHOOSING_SHARE))
    if cut < 2:
        raise ValueError(f"{len(old)} pairs are too few to fit a map")

    def score(fit: Callable[[Matrix, Matrix], VectorMap]) -> float:
        fitted = fit(old[:cut].astype(np.float64), new[:cut].astype(np.float64))
        return agreement(fitted.apply(old[cut:]), new[cut:])

    best = max(_candidates(), key=score)
    return best(old.astype(np.float64), new.astype(np.float64))


def agreement(aligned: Vectors, true: Vectors, *, neighbours: int = NEIGHBOURS) -> float:
    """nDCG@10 of the aligned vectors, with the new model itself as the judge.

    Every row's true vector asks for its neighbours among the other rows. A neighbour's gain is
    how much nearer than the median row the new model holds it, so 1 means the new model's own
    ranking (or one as good), and 0 a ranking by chance.
    """
    count = len(true)
    if count <= neighbours:
        raise ValueError(f"{count} rows have no {neighbours} neighbours to compare")
    discounts = 1.0 / np.log2(np.arange(neighbours) + 2.0)
    reached = ideal = 0.0
    for start in range(0, count, BLOCK_ROWS):
        rows = np.arange(start, min(start + BLOCK_ROWS, count))
        itself = (np.arange(len(rows)), rows)
        truth, found = true[rows] @ true.T, true[rows] @ aligned.T
        gains = truth - np.median(truth, axis=1, keepdims=True)
        found[itself] = -np.inf
        places = np.argsort(-found, axis=1, kind="stable")[:, :neighbours]
        reached += float((np.take_along_axis(gains, places, axis=1) * discounts).sum())
        gains[itself] = -np.inf
        best = -np.sort(-gains, axis=1)[:, :neighbours]
        ideal += float((best * discounts).sum())
    return reached / ideal if ideal > 0 else 1.0


def _candidates() -> Iterator[Callable[[Matrix, Matrix], VectorMap]]:
    yield _procrustes
    for strength in RIDGE_STRENGTHS:
        yield lambda old, new, strength=strength: _ridge(old, new, strength)  # type: ignore[misc]


def _ridge(old: Matrix, new: Matrix, strength: float) -> VectorMap:
    centre, centre_new = old.mean(axis=0), new.mean(axis=0)
    moved = old - centre
    # Of a copy: numpy gives a product with itself to a BLAS routine (syrk) that crashes on large
    # float64 matrices in OpenBLAS 0.3.31 with two threads.
    spread = moved.T @ moved.copy()
    penalty = strength * np.trace(spread) / len(spread)
    matrix = np.linalg.solve(spread + penalty * np.eye(len(spread)), moved.T @ (new - centre_new))
    return VectorMap(matrix, centre_new - centre @ matrix, f"ridge {strength:g}")


def _procrustes(old: Matrix, new: Matrix) -> VectorMap:
    centre, centre_new = old.mean(axis=0), new.mean(axis=0)
    left, _, right = np.linalg.svd((old - centre).T @ (new - centre_new), full_matrices=False)
    matrix = left @ right
    return VectorMap(matrix, centre_new - centre @ matrix, "procrustes")
