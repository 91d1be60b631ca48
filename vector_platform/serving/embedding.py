"""Vectors of queries: from the model that the live generation was built with, or none at all.

Belongs here: which model may embed a query, and remembering the vectors of texts asked before.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from typing import Protocol

import numpy as np
import numpy.typing as npt

from vector_platform.errors import ContractError, TerminalError
from vector_platform.indexes.contract import Scope
from vector_platform.indexes.state import GenerationState
from vector_platform.serving.answers import BadQuery, TextNotSearchable

Vector = npt.NDArray[np.float32]

# 6 MiB of 384 dimensions, 64 MiB of 4,096.
REMEMBERED = 4096


class Identity(Protocol):
    """What tells two models of one name apart."""

    @property
    def digest(self) -> str:
        """As the lake records it of a model version. Prompts are part of it."""
        ...


class QueryModel(Protocol):
    """What a search needs of a model version."""

    @property
    def fingerprint(self) -> Identity:
        """Its weights, prompts and libraries."""
        ...

    def queries_problem(self) -> str | None:
        """Why no text can be searched for under this version; None when one can."""
        ...

    def encode_queries(self, texts: list[str]) -> Vector:
        """Unit float32 vectors of shape (len(texts), dimension)."""
        ...


class AnotherModel(TerminalError):
    """The model that is here under a version's name is not the one that embedded the rows."""


class QueryVectors:
    """Vectors of texts, by the model of a generation.

    A text is remembered for the scope that asked it alone: how fast an answer comes must not tell
    a tenant what another has asked.

    Args:
        open_model: Opens a model version by name.
        most: Texts remembered; the one that was not asked for longest is forgotten first.
    """

    def __init__(self, open_model: Callable[[str], QueryModel], *, most: int = REMEMBERED) -> None:
        self._open_model = open_model
        self._most = most
        self._known: OrderedDict[tuple[Scope, str, str], Vector] = OrderedDict()
        self._lock = threading.Lock()

    def of(self, text: str, live: GenerationState, *, scope: Scope) -> Vector:
        """The vector of a query.

        Raises:
            AnotherModel: The model here is not the one that the generation was built with.
            TextNotSearchable: Under this version only vectors are searched for.
            BadQuery: The model makes no vector of the text.
        """
        # The fingerprint covers the prompt.
        key = (scope, live.fingerprint, text)
        with self._lock:
            if (found := self._known.get(key)) is not None:
                self._known.move_to_end(key)
                return found
        model = self._model(live)
        try:
            vector: Vector = model.encode_queries([text])[0]
        except ContractError as error:
            raise BadQuery(
                f"{live.model_version} makes no vector of the text: {error.violations[0]}",
                param="text",
            ) from error
        vector.flags.writeable = False
        with self._lock:
            self._known[key] = vector
            while len(self._known) > self._most:
                self._known.popitem(last=False)
        return vector

    def _model(self, live: GenerationState) -> QueryModel:
        model = self._open_model(live.model_version)
        here = model.fingerprint.digest
        if here != live.fingerprint:
            raise AnotherModel(
                f"{live.backend} {live.generation} was built with {live.model_version} of "
                f"fingerprint {live.fingerprint}, and what is here under that name has {here}: "
                "its vectors are not comparable. Serve where the same weights, prompts and "
                "library are, or build a generation with what is here under a new name"
            )
        if problem := model.queries_problem():
            raise TextNotSearchable(
                f"{live.model_version} cannot embed a text ({problem}): ask with a vector of the "
                "model that made the rows', or with a document's id",
                param="text",
            )
        return model


def given_vector(values: object, dimension: int) -> Vector:
    """A vector that a question brings, scaled to unit length.

    Raises:
        BadQuery: It is of another length, holds what is no finite number, or has no direction.
    """
    try:
        with np.errstate(over="ignore"):  # what is too large is refused below
            vector = np.asarray(values, np.float32)
    except (TypeError, ValueError, OverflowError):
        raise BadQuery("the vector is no list of numbers", param="vector") from None
    if vector.shape != (dimension,):
        has = len(vector) if vector.ndim == 1 else f"shape {vector.shape}"
        raise BadQuery(
            f"the vector has {has} numbers, the live generation's have {dimension}",
            param="vector",
        )
    if not np.isfinite(vector).all():
        place = int(np.flatnonzero(~np.isfinite(vector))[0])
        raise BadQuery(
            f"the vector holds {vector[place]} at {place}, which is no finite number of 32 bits",
            param=f"vector[{place}]",
        )
    length = float(np.linalg.norm(vector.astype(np.float64)))
    if not length:
        raise BadQuery("the vector is zero, which is similar to nothing", param="vector")
    unit: Vector = (vector / length).astype(np.float32)
    return unit
