"""Model versions made from others by one matrix: aligned vectors, and adapted queries.

Belongs here: opening the folder of such a version and running it on its bases.

A **aligned** version maps the old model's document vectors into the new model's space and
embeds queries with the new model. An **adapter** maps the queries of its base and leaves
documents alone, so it shares the base's vectors and indexes. Both have a fingerprint of their
own, over the matrix, the card that says how it was made, and the fingerprints of the bases.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from vector_platform.models.base import Embedded, Embedder, Vectors
from vector_platform.models.derived.vector_map import MAP_FILE, VectorMap, load_map
from vector_platform.models.errors import ModelError, ModelUnavailableError
from vector_platform.models.identity.fingerprint import Fingerprint
from vector_platform.models.identity.hashing import hash_file
from vector_platform.settings import Model

CARD_FILE = "card.json"
# Raised when the arithmetic of `VectorMap.apply` changes the vectors.
MAP_RUNTIME = "vector map 1"


class DerivedEmbedder(Embedder):
    """Documents of one embedder and queries of another, one of them mapped.

    Args:
        name: The model version.
        fingerprint: Its own.
        documents: Embeds documents.
        queries: Embeds queries.
        document_map: Applied to documents, if any.
        query_map: Applied to queries, if any.
    """

    def __init__(
        self,
        name: str,
        fingerprint: Fingerprint,
        *,
        documents: Embedder,
        queries: Embedder,
        document_map: VectorMap | None = None,
        query_map: VectorMap | None = None,
    ) -> None:
        super().__init__(name, fingerprint)
        self.documents, self.queries = documents, queries
        self.document_map, self.query_map = document_map, query_map

    def embed_few(self, texts: Sequence[str]) -> Vectors:
        """Vectors of a few documents, by way of the embedder of documents."""
        vectors = self.documents.embed_few(texts)
        return vectors if self.document_map is None else self.document_map.apply(vectors)

    def _count(self, texts: list[str]) -> int:
        return self.documents._count(texts)

    def _encode(
        self, texts: list[str], *, stable: bool, on_batch: Callable[[int], None] | None
    ) -> Embedded:
        # Documents are what is asked for with stable bits.
        base, mapped = (
            (self.documents, self.document_map) if stable else (self.queries, self.query_map)
        )
        embedded = base._encode(texts, stable=stable, on_batch=on_batch)
        if mapped is None:
            return embedded
        return replace(embedded, vectors=mapped.apply(embedded.vectors))


def open_derived(
    name: str, spec: Model, folder: Path, *, cache_dir: Path, open_base: Callable[[str], Embedder]
) -> DerivedEmbedder:
    """Open a model version that is made from others.

    Args:
        name: The model version.
        spec: Its settings, with `adapter_of` or `aligned`.
        folder: Where its matrix and card are.
        cache_dir: Folder of file hashes.
        open_base: Opens a model version by name.

    Raises:
        ModelError: Files are missing, or a base is not what the matrix was made for.
    """
    for file in (MAP_FILE, CARD_FILE):
        if not (folder / file).is_file():
            raise ModelUnavailableError(name, f"{folder} holds no {file}")
    card: dict[str, Any] = json.loads((folder / CARD_FILE).read_text(encoding="utf-8"))
    bases = [open_base(base) for base in spec.bases]
    found = {base.name: base.fingerprint.digest for base in bases}
    if card.get("bases") != found:
        raise ModelError(
            name,
            f"its matrix was made for {card.get('bases')}, but these answer as {found}: "
            "make it again under a new name",
        )
    documents, queries = bases[0], bases[-1]
    vector_map = load_map(folder)
    expected = (documents.dimension, queries.dimension)
    if vector_map.matrix.shape != expected:
        raise ModelError(name, f"its matrix is {vector_map.matrix.shape}, not {expected}")
    fingerprint = replace(
        documents.fingerprint,
        kind="aligned" if spec.aligned else "adapter",
        weights=hash_file(folder / MAP_FILE, cache_dir),
        dimension=queries.dimension,
        query_prompt=queries.fingerprint.query_prompt,
        runtime=f"{MAP_RUNTIME}; {documents.fingerprint.runtime}; {queries.fingerprint.runtime}",
        lineage=card,
    )
    return DerivedEmbedder(
        name,
        fingerprint,
        documents=documents,
        queries=queries,
        document_map=vector_map if spec.aligned else None,
        query_map=None if spec.aligned else vector_map,
    )
