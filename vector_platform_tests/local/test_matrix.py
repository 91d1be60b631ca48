"""The in-memory vectors against plain numpy, across block borders."""

from __future__ import annotations

import numpy as np
import pytest

from vector_platform.local.pinecone_server.data.memory.matrix import BLOCK_ROWS, Matrix


@pytest.mark.parametrize("metric", ["cosine", "dotproduct", "euclidean"])
@pytest.mark.parametrize("step", [1, 700, BLOCK_ROWS, 3 * BLOCK_ROWS])
def test_scores_equal_plain_numpy_however_the_rows_arrived(metric: str, step: int) -> None:
    random = np.random.default_rng(0)
    rows = random.normal(size=(2 * BLOCK_ROWS + 123, 3)).astype(np.float32)
    query = random.normal(size=3).astype(np.float32)
    matrix = Matrix(3, metric)
    for first in range(0, len(rows), step):
        matrix.put(first, rows[first : first + step])
    for changed in (0, BLOCK_ROWS - 1, BLOCK_ROWS, len(rows) - 1):
        rows[changed] = random.normal(size=3)
        matrix.put(changed, rows[[changed]])
    expected = {
        "dotproduct": rows @ query,
        "euclidean": -((rows - query) ** 2).sum(1),
        "cosine": rows @ query / np.linalg.norm(rows, axis=1) / np.linalg.norm(query),
    }[metric]
    scores = matrix.scores(query, len(rows))
    assert scores.shape == (len(rows),)
    np.testing.assert_allclose(scores, expected, rtol=1e-4, atol=1e-5)
    assert matrix.score_of(query, rows[5]) == pytest.approx(float(scores[5]), rel=1e-5)


def test_an_empty_matrix_scores_nothing() -> None:
    assert Matrix(3, "cosine").scores(np.ones(3, np.float32), 0).shape == (0,)
