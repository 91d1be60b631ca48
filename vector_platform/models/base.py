"""What every embedder promises.

Belongs here: the abstract base, and the path that all texts take (checks, prompt, windows).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from vector_platform.errors import ContractError, TransientError, VectorPlatformError
from vector_platform.models.checks import text_problem, vector_problems
from vector_platform.models.identity.fingerprint import Fingerprint

Vectors = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Embedded:
    """Vectors of texts, in the order of the texts, and what they cost.

    Attributes:
        vectors: float32 array of shape (texts, dimension). Rows have unit norm; a text in which
            the model knows no token has a row of zeros, which the contract refuses.
        tokens: Tokens the model read, without padding.
        truncated: Texts longer than the model's longest input, read in part.
    """

    vectors: Vectors
    tokens: int
    truncated: int


class CutShort(TransientError):
    """Embedding ended in the middle: some of the texts have vectors.

    Attributes:
        embedded: Of the first texts, as far as it came.
        cause: Why it went no further.
    """

    def __init__(self, embedded: Embedded, cause: VectorPlatformError) -> None:
        super().__init__(str(cause))
        self.embedded, self.cause = embedded, cause


class Embedder(ABC):
    """A model version, ready to turn texts into unit vectors.

    Opening is cheap and safe to do anywhere: weights are loaded on the first encode, and
    `fingerprint` is read from files alone. Instances may be shared by threads.

    Promise: on one machine, a document's vector depends on its text and the fingerprint alone,
    bit by bit: not on the other texts, their order, or their number. Backends keep it by
    giving every text the same tensor shape each time (`models/backends/batching.py`). A query's
    vector may differ from the document's of the same text by float rounding, within 1e-5 in fp32
    (1e-2 per component in bf16).
    """

    def __init__(self, name: str, fingerprint: Fingerprint) -> None:
        self.name = name
        self.fingerprint = fingerprint

    @property
    def dimension(self) -> int:
        """Length of a vector."""
        return self.fingerprint.dimension

    @property
    def max_tokens(self) -> int:
        """Tokens of a text that are read; the rest is cut off."""
        return self.fingerprint.max_tokens

    def queries_problem(self) -> str | None:
        """Why no text can be searched for under this version; None when one can."""
        return None

    def encode_documents(self, texts: Sequence[str]) -> Vectors:
        """Vectors of documents: float32 of shape (len(texts), dimension), unit norm.

        Raises:
            ContractError: A text is blank or not valid Unicode, or has no vector; all listed.
        """
        self._check_texts(texts)
        return self._checked(self.embed_documents(texts).vectors)

    def encode_queries(self, texts: Sequence[str]) -> Vectors:
        """Vectors of queries; as `encode_documents`, with the query prompt and no fill-up.

        Raises:
            ContractError: A text is blank or not valid Unicode, or has no vector; all listed.
        """
        self._check_texts(texts)
        prompted = [self.fingerprint.query_prompt + text for text in texts]
        return self._checked(self._encode(prompted, stable=False, on_batch=None).vectors)

    def embed_documents(
        self, texts: Sequence[str], *, on_batch: Callable[[int], None] | None = None
    ) -> Embedded:
        """Vectors of documents with their costs, unchecked: the caller checks and reports.

        Args:
            texts: Texts without a `text_problem`.
            on_batch: Called after every inference batch with the number of texts in it.
        """
        prompted = [self.fingerprint.document_prompt + text for text in texts]
        return self._encode(prompted, stable=True, on_batch=on_batch)

    def embed_few(self, texts: Sequence[str]) -> Vectors:
        """Vectors of a few documents, unchecked: no fill-up, so up to ten times cheaper.

        Within float rounding of `embed_documents`; the bits may depend on the other texts.
        """
        prompted = [self.fingerprint.document_prompt + text for text in texts]
        return self._encode(prompted, stable=False, on_batch=None).vectors

    def count_tokens(self, texts: Sequence[str]) -> int:
        """Tokens the model would read of these documents, cut at its longest input.

        Loads a tokenizer, never weights.
        """
        return self._count([self.fingerprint.document_prompt + text for text in texts])

    @abstractmethod
    def _count(self, texts: list[str]) -> int:
        """Tokens of prompted texts, each cut at the longest input."""

    @abstractmethod
    def _encode(
        self, texts: list[str], *, stable: bool, on_batch: Callable[[int], None] | None
    ) -> Embedded:
        """Encode prompted texts; `stable` asks for bits that no batch mate can change."""

    def _check_texts(self, texts: Sequence[str]) -> None:
        problems = [
            f"text {row}: {problem}"
            for row, text in enumerate(texts)
            if (problem := text_problem(text))
        ]
        if problems:
            raise ContractError(f"model {self.name}: texts that cannot be embedded", problems)

    def _checked(self, vectors: Vectors) -> Vectors:
        problems = vector_problems(vectors, dimension=self.dimension)
        if problems:
            lines = [f"text {row}: {problem}" for row, problem in problems]
            raise ContractError(f"model {self.name}: vectors that break the contract", lines)
        return vectors


def unit_rows(vectors: npt.NDArray[np.float32]) -> Vectors:
    """Rows scaled to unit norm; rows of zeros stay as they are."""
    wide = vectors.astype(np.float64)
    norms = np.linalg.norm(wide, axis=1, keepdims=True)
    scaled: Vectors = (wide / np.where(norms > 0, norms, 1.0)).astype(np.float32)
    return scaled
