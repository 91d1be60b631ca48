"""Searching the live generations: embed the query with the model that the generation names.

Belongs here: one query, one backend, one answer. Does not belong here: opening backends and
models (the caller hands them in), or which generation is live (`releases`).
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from vector_platform.errors import TerminalError
from vector_platform.indexes.base import VectorIndex
from vector_platform.indexes.contract import Hit
from vector_platform.lake.lake import Lake
from vector_platform.releases.pointer import LivePointer
from vector_platform.releases.probes import QueryEncoder
from vector_platform.settings import BackendName

MAX_K = 1000


class BadQuery(TerminalError):
    """A query that cannot be answered: empty text, or k out of range."""


@dataclass(frozen=True)
class SearchResult:
    """Hits of one backend, and exactly what answered.

    Attributes:
        backend: Backend that was asked.
        generation: Its live generation.
        model_version: Model that embedded the rows and the query.
        snapshot: Lake snapshot the generation is proven equal to.
        hits: Best first.
        seconds: Time in the backend, without embedding the query.
    """

    backend: str
    generation: str
    model_version: str
    snapshot: str
    hits: list[Hit]
    seconds: float

    def as_json(self) -> dict[str, Any]:
        """The result for machines."""
        return {
            "backend": self.backend,
            "generation": self.generation,
            "model_version": self.model_version,
            "snapshot": self.snapshot,
            "seconds": round(self.seconds, 6),
            "hits": [vars(hit) for hit in self.hits],
        }


class SearchService:
    """Answers queries from the live generations.

    Args:
        lake: Where the live pointer is.
        index: Logical index.
        open_index: Opens a backend by name.
        open_encoder: Opens a model version by name.
    """

    def __init__(
        self,
        lake: Lake,
        index: str,
        *,
        open_index: Callable[[BackendName], VectorIndex],
        open_encoder: Callable[[str], QueryEncoder],
    ) -> None:
        self._lake = lake
        self._index = index
        self._open_index = open_index
        self._open_encoder = open_encoder

    def search(
        self, text: str, *, backend: BackendName, tenant: str | None = None, k: int = 10
    ) -> SearchResult:
        """The k chunks most similar to a text.

        Raises:
            BadQuery: The text is empty or k is not in 1..1000.
            NothingLive: The backend serves nothing yet.
        """
        if not text.strip():
            raise BadQuery("the query is empty")
        if not 1 <= k <= MAX_K:
            raise BadQuery(f"k is {k}; it must be between 1 and {MAX_K}")
        live = LivePointer(self._lake, backend, self._index).live_generation()
        (vector,) = self._open_encoder(live.model_version).encode_queries([text])
        target = self._open_index(backend)
        started = time.perf_counter()
        hits = target.search(live.identity, vector, k=k, tenant=tenant)
        return SearchResult(
            backend=backend,
            generation=live.generation,
            model_version=live.model_version,
            snapshot=str(live.snapshot),
            hits=hits,
            seconds=time.perf_counter() - started,
        )
