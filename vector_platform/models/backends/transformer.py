"""The part of a transformer embedder that does not depend on the inference library.

Belongs here: tokenising, padding, running the planned batches, restoring the order.
"""

from __future__ import annotations

import threading
from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from vector_platform.models.backends.batching import plan_batches
from vector_platform.models.base import Embedded, Embedder, Vectors, unit_rows
from vector_platform.models.identity.fingerprint import Fingerprint
from vector_platform.models.identity.folder import ModelFolder

if TYPE_CHECKING:
    from tokenizers import Tokenizer

Ids = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Runner:
    """A loaded model.

    Attributes:
        tokenizer: Its tokenizer; set here to cut at the longest input and never to pad.
        pad_id: Token that fills up.
        forward: (ids, mask), both int64 of shape (rows, length), to pooled float32 vectors.
    """

    tokenizer: Tokenizer
    pad_id: int
    forward: Callable[[Ids, Ids], Vectors]


class TransformerEmbedder(Embedder):
    """Runs texts through a transformer in batches of fixed shape."""

    def __init__(
        self,
        name: str,
        fingerprint: Fingerprint,
        folder: ModelFolder,
        *,
        batch_tokens: int,
        cache_dir: Path,
    ) -> None:
        super().__init__(name, fingerprint)
        self._folder = folder
        self._batch_tokens = batch_tokens
        self._cache_dir = cache_dir
        self._lock = threading.Lock()
        self._runner: Runner | None = None

    @abstractmethod
    def _load(self) -> Runner:
        """Load weights and tokenizer. Called once."""

    def _loaded(self) -> Runner:
        with self._lock:
            if self._runner is None:
                runner = self._load()
                runner.tokenizer.no_padding()
                runner.tokenizer.enable_truncation(self.max_tokens)
                self._runner = runner
            return self._runner

    def _count(self, texts: list[str]) -> int:
        file = next((f for f in self._folder.tokenizer if f.name == "tokenizer.json"), None)
        if file is None:  # only the libraries know how to make one from older files
            tokenizer = self._loaded().tokenizer
        else:
            from tokenizers import Tokenizer

            tokenizer = Tokenizer.from_file(str(file))
            tokenizer.no_padding()
            tokenizer.enable_truncation(self.max_tokens)
        return sum(len(encoding) for encoding in tokenizer.encode_batch_fast(texts))

    def _encode(
        self, texts: list[str], *, stable: bool, on_batch: Callable[[int], None] | None
    ) -> Embedded:
        runner = self._loaded()
        encodings = runner.tokenizer.encode_batch(texts)
        ids = [np.array(encoding.ids, dtype=np.int64) for encoding in encodings]
        truncated = sum(bool(encoding.overflowing) for encoding in encodings)
        del encodings
        lengths = np.array([len(row) for row in ids], dtype=np.int64)
        vectors = np.zeros((len(texts), self.dimension), dtype=np.float32)
        for batch in plan_batches(
            lengths, max_tokens=self.max_tokens, batch_tokens=self._batch_tokens, stable=stable
        ):
            tokens = np.full((batch.size, batch.length), runner.pad_id, dtype=np.int64)
            mask = np.zeros_like(tokens)
            for line in range(batch.size):
                row = ids[batch.rows[min(line, len(batch.rows) - 1)]]
                tokens[line, : len(row)] = row
                mask[line, : len(row)] = 1
            vectors[batch.rows] = runner.forward(tokens, mask)[: len(batch.rows)]
            if on_batch:
                on_batch(len(batch.rows))
        return Embedded(unit_rows(vectors), int(lengths.sum()), truncated)
