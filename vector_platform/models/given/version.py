"""The model version whose vectors are given, as an embedder that embeds no document.

Belongs here: its fingerprint, and whether and how the texts of searches are embedded for it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from vector_platform.models.base import Embedded, Embedder, Vectors
from vector_platform.models.errors import ModelError
from vector_platform.models.identity.fingerprint import Fingerprint
from vector_platform.settings import Model

# Raised when `lake/given.py` stores other numbers of the same value.
GIVEN_RUNTIME = "given 1"


# Why a query model has not reproduced the vectors of a version; None when it has.
Proven = Callable[["GivenEmbedder", Embedder], str | None]


class NoTextSearch(ModelError):
    """A text is to be embedded under a version whose vectors are given."""


class GivenEmbedder(Embedder):
    """A model version that the platform knows by its vectors alone.

    Args:
        name: The model version.
        fingerprint: Its own.
        queries: Opens the model that embeds queries; None where none is named.
        proven: Why that model has not reproduced the vectors; None when it has. Asked each time,
            since it is measured anew when vectors come.
    """

    def __init__(
        self,
        name: str,
        fingerprint: Fingerprint,
        *,
        queries: Callable[[], Embedder] | None,
        proven: Proven,
    ) -> None:
        super().__init__(name, fingerprint)
        self._queries, self._proven = queries, proven

    def query_model(self) -> Embedder | None:
        """The model that embeds queries, whether it has reproduced the vectors or not.

        Raises:
            ModelError: It cannot be opened, or its vectors have another length.
        """
        if self._queries is None:
            return None
        found = self._queries()
        if found.dimension != self.dimension:
            raise ModelError(
                self.name,
                f"its vectors have {self.dimension} numbers, and those of query_model "
                f"{found.name} have {found.dimension}",
            )
        return found

    def queries_problem(self) -> str | None:
        """Why no text can be searched for; None when one can."""
        found = self.query_model()
        if found is None:
            return (
                "its vectors are given, so no text can be embedded for it: search by a vector, or "
                f"name the model that made them (models.{self.name}.given.query_model)"
            )
        return self._proven(self, found)

    def encode_queries(self, texts: Sequence[str]) -> Vectors:
        """Vectors of queries, by the query model.

        Raises:
            NoTextSearch: There is none, or it has not reproduced the vectors.
        """
        if problem := self.queries_problem():
            raise NoTextSearch(self.name, problem)
        model = self.query_model()
        assert model is not None
        return model.encode_queries(texts)

    def _count(self, texts: list[str]) -> int:
        return 0

    def _encode(
        self, texts: list[str], *, stable: bool, on_batch: Callable[[int], None] | None
    ) -> Embedded:
        raise ModelError(self.name, "its vectors are given; no text can be embedded with it")


def open_given(
    name: str,
    spec: Model,
    *,
    open_base: Callable[[str], Embedder] | None,
    proven: Proven,
) -> GivenEmbedder:
    """Open a model version whose vectors are given.

    Args:
        name: The model version.
        spec: Its settings, with `given`.
        open_base: Opens its query model, by name.
        proven: Why a query model cannot be asked for a version; None when it can.
    """
    assert spec.given is not None
    asked = spec.given.query_model

    def queries() -> Embedder:
        if open_base is None:
            raise ModelError(name, f"its query model {asked} is opened by nobody here")
        return open_base(str(asked))

    fingerprint = Fingerprint(
        kind="given",
        weights="",
        tokenizer="",
        configuration="",
        pooling="",
        normalisation="l2",
        dimension=spec.given.dimensions,
        max_tokens=0,
        document_prompt="",
        query_prompt="",
        backend="",
        runtime=GIVEN_RUNTIME,
        lineage={"norm": spec.given.norm, "revision": spec.revision},
    )
    return GivenEmbedder(
        name,
        fingerprint,
        queries=None if asked is None else queries,
        proven=proven,
    )
