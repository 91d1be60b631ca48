"""Given vectors: what a vector that a row brings along must be, and what is stored of it.

Belongs here: pure checks of one value. Landing checks a row by them, and the vector that is later
copied from the landed row is what they return, so whatever has landed can be stored.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from vector_platform.lake.rules import UNIT_NORM_TOLERANCE

# A float64 is written in at most 24 characters; pretty printing takes some more.
_CHARACTERS_A_NUMBER = 64
# What two vectors of one text under one model have in common at least. Another processor or a
# precision of bfloat16 leaves 0.9999 (see `models/canaries/answers.py`); another model does not
# come near.
SAME_VECTOR_COSINE = 0.999
_MAX_FLOAT32 = float(np.finfo(np.float32).max)

_JSON_NAMES = {str: "text", bool: "a truth", dict: "an object", list: "a list", type(None): "null"}


class NotAVector(ValueError):
    """A value is no vector of a model version. The message says why, without the value."""


@dataclass(frozen=True)
class VectorColumn:
    """Where a source holds the vectors of a model version, and what they must be.

    Attributes:
        model_version: Under which they are stored.
        column: Column of the landed row.
        dimensions: Numbers of a vector.
        norm: `unit`: length 1, and no other. `scale`: any length above zero, divided by it.
    """

    model_version: str
    column: str
    dimensions: int
    norm: Literal["unit", "scale"] = "unit"


def given_vector(value: Any, wanted: VectorColumn) -> npt.NDArray[np.float32]:
    """A value of a landed row as the float32 unit vector that is stored.

    A list of numbers, or a text that holds one in JSON, as cells of CSV do. Under `unit` each
    number is rounded to float32 and no more: what was float32 keeps its bits. Under `scale` it is
    divided by the length in float64 before.

    Raises:
        NotAVector: It is something else, or of another dimension, or has no direction.
    """
    items = _listed(value, wanted.dimensions)
    if len(items) != wanted.dimensions:
        raise NotAVector(
            f"has {len(items)} numbers, and {wanted.model_version} has {wanted.dimensions}"
        )
    numbers = np.array([_number(item, place) for place, item in enumerate(items)], np.float64)
    largest = float(np.abs(numbers).max())
    # Divided by the largest first: squares of very large or small numbers have no float64.
    length = largest * float(np.linalg.norm(numbers / largest)) if largest else 0.0
    if length == 0:
        raise NotAVector("is zero, which has no direction")
    if wanted.norm == "scale":
        return ((numbers / largest) / (length / largest)).astype(np.float32)
    if not abs(length - 1) <= UNIT_NORM_TOLERANCE:
        raise NotAVector(
            f"has length {length:.6g}, not 1; scale it at the source, or set norm: scale for "
            f"{wanted.model_version}"
        )
    return numbers.astype(np.float32)


def _listed(value: Any, dimensions: int) -> Sequence[Any]:
    if isinstance(value, str):
        value = _parsed(value, dimensions)
    if not isinstance(value, list):
        raise NotAVector(f"is {_kind(value)}, not a list of numbers")
    return value


def _parsed(text: str, dimensions: int) -> Any:
    if len(text) > _CHARACTERS_A_NUMBER * (dimensions + 1):
        raise NotAVector(
            f"is a text of {len(text)} characters, more than {dimensions} numbers take"
        )
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        raise NotAVector("is a text that holds no JSON list of numbers") from None


def _number(item: Any, place: int) -> float:
    if isinstance(item, bool) or not isinstance(item, (int, float)):
        lands = "; a NaN lands as null" if item is None else ""
        raise NotAVector(f"holds {_kind(item)} at place {place}, not a number{lands}")
    try:
        number = float(item)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise NotAVector(f"holds no finite number at place {place}")
    if abs(number) > _MAX_FLOAT32:
        raise NotAVector(f"holds {number:.3g} at place {place}, beyond float32")
    return number


def _kind(value: Any) -> str:
    return _JSON_NAMES.get(type(value), f"of type {type(value).__name__}")
