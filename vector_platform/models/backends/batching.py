"""Which texts go through the model together, and in which tensor shape.

Belongs here: the pure plan of batches.

Why fixed shapes: a matrix product picks its kernel, and with it the order of its additions, by
shape; so the same text padded to another length or run in a batch of another size may come out
with other last bits (measured: the padded length does change them beyond 160 tokens; the number
of rows did not on the processors tried, but no library promises that). Here the padded length is
a function of the text's own length and the number of rows a function of the padded length:
a batch that is not full is filled up with copies. Every text then meets one shape only. The
cost is at most one fill-up per length step and window: little in a window of thousands of texts,
but for some dozens of texts of all lengths it can double the work. Small batches keep it low.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

# The least step of padded lengths: kernels work on blocks of 16 numbers.
STEP = 16


@dataclass(frozen=True)
class Batch:
    """Texts to run together.

    Attributes:
        rows: Positions of the texts.
        length: Padded length in tokens.
        size: Rows of the tensor; those beyond `rows` are fill-up.
    """

    rows: npt.NDArray[np.int64]
    length: int
    size: int


def padded_length(tokens: int, *, max_tokens: int) -> int:
    """The length a text of so many tokens is padded to, at most `max_tokens`.

    Multiples of 16 up to 256 tokens, and above of a sixteenth of the next power of two: 16 steps
    an octave, so at most an eighth of a long text is padding and there are few shapes.
    """
    step = max(STEP, (1 << max(tokens - 1, 0).bit_length()) // 16)
    return min(max(-(-tokens // step), 1) * step, max_tokens)


def plan_batches(
    lengths: npt.NDArray[np.int64], *, max_tokens: int, batch_tokens: int, stable: bool
) -> Iterator[Batch]:
    """Split texts into batches of one padded length each, longest first.

    Args:
        lengths: Tokens of each text.
        max_tokens: The longest input; no length exceeds it.
        batch_tokens: Padded tokens of a full batch; a batch holds at least one text.
        stable: Fill batches up, so that shapes do not depend on how many texts there are.
    """
    padded = np.array(
        [padded_length(int(length), max_tokens=max_tokens) for length in lengths], dtype=np.int64
    )
    for length in sorted(set(padded.tolist()), reverse=True):
        rows = np.flatnonzero(padded == length)
        size = max(1, batch_tokens // length)
        for start in range(0, len(rows), size):
            part = rows[start : start + size]
            yield Batch(part, length, size if stable else len(part))
