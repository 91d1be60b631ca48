"""What a drift test looks at: samples of bounded size and features of the pooled rows.

Belongs here: functions of a set of vectors that do not know which side a row is from; that is
what makes a permutation test over them exact. Does not belong here: the test (`drift.py`).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]

# Rows of a side that enter the test; beyond this power grows slowly and cost does not.
MAX_ROWS = 2000
# Principal directions: fewer than the rows of a small sample, most of the variance of a corpus.
DIRECTIONS = 64
FOURIER_FEATURES = 256


def row_hashes(rows: Floats, seed: int) -> npt.NDArray[np.uint64]:
    """Multilinear hashes of the rows' bits: modulo 2^64, high half kept (Lemire, Kaser 2014)."""
    weights = np.random.default_rng(seed).integers(0, 2**64, size=rows.shape[1], dtype=np.uint64)
    hashes = np.empty(len(rows), np.uint64)
    for start in range(0, len(rows), 16384):
        bits = np.ascontiguousarray(rows[start : start + 16384]).view(np.uint32)
        hashes[start : start + 16384] = (bits.astype(np.uint64) * weights).sum(axis=1) >> 32
    return hashes


def reduced(rows: Floats, seed: int) -> tuple[Floats, npt.NDArray[np.intp]]:
    """At most `MAX_ROWS` rows, those of the smallest hashes, in the order of their hashes."""
    chosen = np.argsort(row_hashes(rows, seed), kind="stable")[:MAX_ROWS]
    return rows[chosen], chosen


def whitened(pooled: Floats) -> Floats:
    """Principal components of unit variance: at most `DIRECTIONS`, and a quarter of the rows."""
    centred = pooled - pooled.mean(axis=0)
    variances, axes = np.linalg.eigh((centred.T @ centred) / np.float32(len(pooled)))
    kept = max(1, min(DIRECTIONS, len(pooled) // 4, len(variances)))
    variances, axes = variances[::-1][:kept], axes[:, ::-1][:, :kept]
    floor = max(1e-6 * float(variances[0]), 1e-12)
    scaled = (centred @ axes) / np.sqrt(np.maximum(variances, floor))
    return np.asarray(np.where(variances > floor, scaled, 0), np.float32)


def fourier(pooled: Floats, rng: np.random.Generator) -> Floats:
    """Random Fourier features of a Gaussian kernel whose width is the median distance.

    `pooled` is in the order of its hashes, so the pairs measured do not depend on the split.
    """
    half = len(pooled) // 2
    width = float(np.median(np.linalg.norm(pooled[:half] - pooled[half : 2 * half], axis=1)))
    directions = rng.standard_normal((pooled.shape[1], FOURIER_FEATURES)).astype(np.float32)
    phases = rng.uniform(0, 2 * np.pi, FOURIER_FEATURES).astype(np.float32)
    waves = np.cos(pooled @ directions / np.float32(width or 1.0) + phases)
    return np.asarray(waves - waves.mean(axis=0), np.float32)
