"""What an endpoint's answer must be: one vector for each text, in their order.

Belongs here: pure checks of a decoded answer. An answer that breaks the contract is refused by
name: which of its vectors belongs to which text is never guessed.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import numpy as np

from vector_platform.lake.given import NotAVector, VectorColumn, given_vector
from vector_platform.models.base import Vectors


class NotJson(ValueError):
    """A body is no JSON: cut off, or from somebody else. Asking again may help."""


class WrongAnswer(ValueError):
    """An answer is not what was asked for. Asking again gives the same."""


@dataclass(frozen=True)
class Answer:
    """Vectors of texts.

    Attributes:
        vectors: float32, one unit row a text.
        tokens: What the server has counted; None where it says nothing.
    """

    vectors: Vectors
    tokens: int | None


def answer_of(body: bytes, *, texts: int, dimensions: int, name: str) -> Answer:
    """The vectors that a body holds.

    Args:
        body: Of a response with status 200.
        texts: How many were asked.
        dimensions: Of the model version.
        name: The model version.

    Raises:
        NotJson: The body cannot be parsed.
        WrongAnswer: It holds something else; says what, and at which text.
    """
    try:
        said: Any = json.loads(body)
    except (ValueError, RecursionError):
        raise NotJson("the answer is no whole JSON") from None
    data = said.get("data") if isinstance(said, dict) else None
    if not isinstance(data, list):
        raise WrongAnswer("the answer has no list `data`")
    if len(data) != texts:
        raise WrongAnswer(f"the answer has {len(data)} vectors for {texts} texts")
    wanted = VectorColumn(name, "", dimensions, norm="scale")
    rows = []
    for place, item in enumerate(data):
        index = item.get("index") if isinstance(item, dict) else None
        if index != place or isinstance(index, bool):
            raise WrongAnswer(
                f"the answer is out of order: at place {place} it has index {str(index)[:20]}"
            )
        value = item.get("embedding")
        if isinstance(value, str):
            raise WrongAnswer(f"the vector of text {place} is text, not a list of numbers")
        try:
            rows.append(given_vector(value, wanted))
        except NotAVector as error:
            raise WrongAnswer(f"the vector of text {place} {error}") from None
    return Answer(np.stack(rows), _tokens(said.get("usage")))


def _tokens(usage: Any) -> int | None:
    told = usage.get("prompt_tokens") if isinstance(usage, dict) else None
    return told if isinstance(told, int) and not isinstance(told, bool) and told >= 0 else None
