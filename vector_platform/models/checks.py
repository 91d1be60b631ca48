"""What a text and a vector must satisfy.

Belongs here: pure checks, used by every encoder and by the driver.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from vector_platform.lake.contract import UNIT_NORM_TOLERANCE


def text_problem(text: str) -> str | None:
    """Why a text cannot be embedded, or None when it can.

    Blank text has no meaning to embed (and a static model has no vector for it). A lone
    surrogate is no Unicode text: no tokenizer takes it and Arrow cannot hold it. Everything
    else is embedded, as far as the model's longest input reaches.
    """
    if not text.strip():
        return "is blank"
    try:
        text.encode()
    except UnicodeEncodeError as error:
        return f"is not valid Unicode: lone surrogate at character {error.start}"
    return None


def vector_problems(vectors: npt.NDArray[np.float32], *, dimension: int) -> list[tuple[int, str]]:
    """Rows that break the contract of a vector, as (row, what is wrong); all of them.

    Args:
        vectors: Array of shape (rows, columns).
        dimension: What the model promises.
    """
    if vectors.ndim != 2 or vectors.shape[1] != dimension:
        shape = "x".join(str(size) for size in vectors.shape)
        return [(0, f"vectors have shape {shape}, expected rows of {dimension}")]
    finite = np.logical_and.reduce(np.isfinite(vectors), axis=1)
    with np.errstate(invalid="ignore", over="ignore"):
        norms: npt.NDArray[np.float64] = np.linalg.norm(vectors.astype(np.float64), axis=1)
        broken: npt.NDArray[np.bool_] = ~finite | ~(np.abs(norms - 1.0) <= UNIT_NORM_TOLERANCE)
    return [
        (
            row,
            "vector holds NaN or infinity"
            if not finite[row]
            else f"norm is {norms[row]:.6g}, not 1",
        )
        for row in np.flatnonzero(broken).tolist()
    ]
