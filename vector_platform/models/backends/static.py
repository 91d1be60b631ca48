"""Static models: the mean of token vectors, in numpy.

Belongs here: the encoder of StaticEmbedding folders. Equal to sentence-transformers'
StaticEmbedding + Normalize to 1e-6 (tested), except that `max_tokens` cuts, which that module
never does. Every text is summed by itself, so its bits cannot depend on the others.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from vector_platform.models.base import Embedded, Embedder, Vectors, unit_rows
from vector_platform.models.identity.fingerprint import Fingerprint
from vector_platform.models.identity.folder import ModelFolder

if TYPE_CHECKING:
    from tokenizers import Tokenizer

# Texts tokenised together: bounds the memory of encodings, feeds the tokenizer's threads.
_BATCH_TEXTS = 512


class StaticEmbedder(Embedder):
    """Mean of the token vectors of a text, scaled to unit norm."""

    def __init__(self, name: str, fingerprint: Fingerprint, folder: ModelFolder) -> None:
        super().__init__(name, fingerprint)
        self._folder = folder
        self._lock = threading.Lock()
        self._loaded: tuple[Tokenizer, Vectors] | None = None

    def _load(self) -> tuple[Tokenizer, Vectors]:
        with self._lock:
            if self._loaded is None:
                from safetensors.numpy import load_file

                weights = load_file(self._folder.weights[0])["embedding.weight"]
                self._loaded = self._tokenizer(), weights.astype(np.float32, copy=False)
            return self._loaded

    def _tokenizer(self) -> Tokenizer:
        from tokenizers import Tokenizer

        tokenizer = Tokenizer.from_file(str(self._folder.root / "tokenizer.json"))
        tokenizer.no_padding()
        tokenizer.no_truncation()
        return tokenizer

    def _count(self, texts: list[str]) -> int:
        encodings = self._tokenizer().encode_batch_fast(texts, add_special_tokens=False)
        return sum(min(len(encoding), self.max_tokens) for encoding in encodings)

    def _encode(
        self, texts: list[str], *, stable: bool, on_batch: Callable[[int], None] | None
    ) -> Embedded:
        tokenizer, weights = self._load()
        means = np.zeros((len(texts), self.dimension), dtype=np.float32)
        tokens = truncated = 0
        for start in range(0, len(texts), _BATCH_TEXTS):
            batch = texts[start : start + _BATCH_TEXTS]
            encodings = tokenizer.encode_batch_fast(batch, add_special_tokens=False)
            for row, encoding in enumerate(encodings, start):
                ids = encoding.ids[: self.max_tokens]
                truncated += len(encoding) > self.max_tokens
                tokens += len(ids)
                if ids:
                    means[row] = np.take(weights, ids, axis=0).mean(axis=0)
            if on_batch:
                on_batch(len(batch))
        return Embedded(unit_rows(means), tokens, truncated)
