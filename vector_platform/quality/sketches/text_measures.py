"""Plain measures of texts: what damage and debris change, whatever a model makes of it.

Belongs here: numbers of one text that need no model.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

Floats = npt.NDArray[np.float32]

TEXT_MEASURES = ("length", "word_length", "marks", "digits", "tags", "unseen_letters")

# Counters of runs of three letters. They are hashed, so every script has its place.
TRIGRAMS = 2**16
# Characters of a text that are looked at: enough to tell what it is made of.
_READ = 2000
_MIX = (0x9E3779B1, 0x85EBCA6B, 0xC2B2AE35)


def measures_of(texts: Sequence[str], seen: npt.NDArray[np.bool_]) -> Floats:
    """One row a text, in the order of `TEXT_MEASURES`.

    Length in the logarithm of characters; mean characters of a word; marks and digits as shares
    of the characters; characters of markup in the logarithm of their number; share of runs of
    three letters that the calibration slice does not hold.
    """
    column = pa.array(texts, pa.string())
    length = _numbers(pc.utf8_length(column))
    characters = np.maximum(length, 1)
    gaps = _numbers(pc.count_substring_regex(column, r"\s+"))
    owners, runs = _trigrams(texts)
    total = np.bincount(owners, minlength=len(texts))
    unseen = np.bincount(owners, weights=~seen[runs], minlength=len(texts))
    return np.stack(
        [
            np.log1p(length),
            characters / (gaps + 1),
            _numbers(pc.count_substring_regex(column, r"[\p{P}\p{S}]")) / characters,
            _numbers(pc.count_substring_regex(column, r"\p{Nd}")) / characters,
            np.log1p(_numbers(pc.count_substring_regex(column, r"[<>{}&\\]"))),
            unseen / np.maximum(total, 1),
        ],
        axis=1,
    ).astype(np.float32)


def seen_in(texts: Sequence[str]) -> npt.NDArray[np.bool_]:
    """Which runs of three letters some texts hold, shape (`TRIGRAMS`,)."""
    return np.bincount(_trigrams(texts)[1], minlength=TRIGRAMS) > 0


def _trigrams(texts: Sequence[str]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Which text each run of three letters is from, and its counter."""
    read = [f" {text[:_READ].lower()} " for text in texts]
    letters = np.frombuffer("".join(read).encode("utf-32-le"), np.uint32)
    owners = np.repeat(np.arange(len(read)), [len(text) for text in read])
    whole = owners[:-2] == owners[2:]
    runs = np.zeros(max(len(letters) - 2, 0), np.uint64)
    for place, factor in enumerate(_MIX):
        runs = (runs + letters[place : len(runs) + place]) * np.uint64(factor)
    return owners[:-2][whole], ((runs >> np.uint64(8)) % np.uint64(TRIGRAMS))[whole].astype(int)


def _numbers(column: pa.Array) -> npt.NDArray[np.float64]:
    return np.asarray(column.to_numpy(zero_copy_only=False), np.float64)
