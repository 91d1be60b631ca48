"""Documents by their id: where they come from, and what holds them.

Belongs here: reading the lake, and asking every backend what it holds of a document. A document
that is not of the scope is as unknown as one that does not exist.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Final

import numpy as np

from vector_platform.errors import VectorPlatformError
from vector_platform.indexes.base import VectorIndex
from vector_platform.indexes.contract import RowKey, Scope
from vector_platform.indexes.state import GenerationState, IndexStates
from vector_platform.lake.lake import Lake
from vector_platform.lake.storage.conditions import Condition
from vector_platform.serving.answers import BadQuery, Document, Held, Passage, UnknownDocument
from vector_platform.serving.embedding import Vector
from vector_platform.settings import BackendName

# Chunks whose vectors stand for a document: what is far down says less of what it is about.
LIKE_CHUNKS: Final = 16


class Documents:
    """The documents of a lake.

    Args:
        lake: Where they are.
        index: Logical index.
        backends: Who may hold them.
        open_index: Opens a backend by name.
    """

    def __init__(
        self,
        lake: Lake,
        index: str,
        backends: Sequence[BackendName],
        *,
        open_index: Callable[[BackendName], VectorIndex],
    ) -> None:
        self._lake = lake
        self._index = index
        self._backends = backends
        self._open_index = open_index

    def document(
        self, doc_id: str, *, scope: Scope, live: Callable[[BackendName], GenerationState | None]
    ) -> Document:
        """A document with its lineage.

        Args:
            doc_id: Its id.
            scope: Whose documents there are.
            live: What readers see on a backend.

        Raises:
            UnknownDocument: There is none of this id in the scope.
        """
        snapshot = self._lake.snapshot()
        row = self._row(doc_id, scope)
        chunks = self._chunks(doc_id, scope)
        return Document(
            id=row["doc_id"],
            tenant=row["tenant"],
            region=row["region"],
            title=row["title"],
            body=row["body"],
            attributes=json.loads(row["attributes"]),
            updated_at=row["updated_at"],
            source=row["source"],
            key=row["key"],
            uri=row["uri"],
            row_hash=row["row_hash"],
            run_id=row["run_id"],
            ingested_at=row["ingested_at"],
            snapshot=str(snapshot),
            chunks=tuple(self._passages(chunks)),
            indexes=tuple(
                self._held([(chunk["chunk_id"], chunk["tenant"]) for chunk in chunks], live)
            ),
        )

    def text(self, doc_id: str, *, scope: Scope) -> dict[str, Any]:
        """A document's row of the lake, without asking any backend.

        Raises:
            UnknownDocument: There is none of this id in the scope.
        """
        return self._row(doc_id, scope)

    def page(
        self, *, scope: Scope, after: str | None, most: int
    ) -> tuple[list[dict[str, Any]], bool]:
        """Documents of a scope by their ids, and whether there are more.

        Args:
            scope: Whose.
            after: The id that the page before ended with; None for the first.
            most: Documents of a page.
        """
        if scope.is_empty:
            return [], False
        where: list[Condition] = []
        if not scope.unconfined:
            where.append(("tenant", "in", sorted(scope.tenants)))
        columns = ["doc_id", "title", "tenant", "attributes", "ingested_at", "body"]
        rows = self._lake.documents.read(columns, where=where).to_pylist()
        rows = [row for row in rows if scope.holds(row["tenant"])]
        later = sorted(
            (row for row in rows if after is None or row["doc_id"] > after),
            key=lambda row: row["doc_id"],
        )
        return later[:most], len(later) > most

    def count(self, *, scope: Scope) -> int:
        """How many documents are of a scope."""
        if scope.is_empty:
            return 0
        tenants = self._lake.documents.read(["tenant"]).column("tenant").to_pylist()
        return sum(map(scope.holds, tenants))

    def vector(self, doc_id: str, live: GenerationState, *, scope: Scope) -> tuple[Vector, int]:
        """What a document is about, as the live generation has it: the mean of its first vectors.

        Returns:
            The vector, of unit length, and how many chunks the document has.

        Raises:
            UnknownDocument: There is none of this id in the scope.
            BadQuery: The live generation holds no vector of it.
        """
        chunks = self._chunks(doc_id, scope)
        if not chunks:
            raise _unknown(doc_id, "like")
        keys = [(chunk["chunk_id"], chunk["tenant"]) for chunk in chunks[:LIKE_CHUNKS]]
        rows = self._open_index(live.backend).whole_rows(live.identity, keys)
        found = [row["vector"] for key, row in rows.items() if scope.holds(key[1])]
        mean = np.mean(np.asarray(found, np.float64), axis=0) if found else np.zeros(1)
        length = float(np.linalg.norm(mean))
        if not length:
            raise BadQuery(
                f"{live.backend} {live.generation} holds no vector of document {doc_id!r} yet",
                param="like",
            )
        return (mean / length).astype(np.float32), len(chunks)

    def _row(self, doc_id: str, scope: Scope) -> dict[str, Any]:
        where: list[Condition] = [("doc_id", "==", doc_id)]
        rows = [] if scope.is_empty else self._lake.documents.read(where=where).to_pylist()
        own = [row for row in rows if scope.holds(row["tenant"])]
        if not own:
            raise _unknown(doc_id, "id")
        return dict(own[0])

    def _chunks(self, doc_id: str, scope: Scope) -> list[dict[str, Any]]:
        columns = ["chunk_id", "ordinal", "tenant", "text", "content_hash"]
        where: list[Condition] = [("doc_id", "==", doc_id)]
        rows = [] if scope.is_empty else self._lake.chunks.read(columns, where=where).to_pylist()
        own = [row for row in rows if scope.holds(row["tenant"])]
        return sorted(own, key=lambda row: row["ordinal"])

    def _passages(self, chunks: Sequence[dict[str, Any]]) -> Iterator[Passage]:
        hashes = sorted({chunk["content_hash"] for chunk in chunks})
        models: dict[str, set[str]] = defaultdict(set)
        if hashes:
            stored = self._lake.embeddings.read(
                ["model_version", "content_hash"], where=[("content_hash", "in", hashes)]
            )
            for row in stored.to_pylist():
                models[row["content_hash"]].add(row["model_version"])
        for chunk in chunks:
            yield Passage(
                id=chunk["chunk_id"],
                ordinal=chunk["ordinal"],
                text=chunk["text"],
                content_hash=chunk["content_hash"],
                models=tuple(sorted(models[chunk["content_hash"]])),
            )

    def _held(
        self,
        keys: Sequence[RowKey],
        live: Callable[[BackendName], GenerationState | None],
    ) -> Iterator[Held]:
        for backend in self._backends:
            seen = live(backend)
            for state in IndexStates(self._lake.index_state, backend, self._index).present():
                chunks, problem = self._count(state, backend, keys)
                yield Held(
                    backend=backend,
                    generation=state.generation,
                    model_version=state.model_version,
                    snapshot=str(state.snapshot) if state.snapshot else None,
                    live=seen is not None and seen.generation == state.generation,
                    chunks=chunks,
                    problem=problem,
                )

    def _count(
        self, state: GenerationState, backend: BackendName, keys: Sequence[RowKey]
    ) -> tuple[int | None, str | None]:
        try:
            found = self._open_index(backend).find(state.identity, keys)
            return len(set(_ids(found))), None
        except VectorPlatformError as error:
            return None, f"{type(error).__name__}: {error}"


def _ids(batches: Iterable[Any]) -> Iterator[str]:
    for batch in batches:
        yield from batch.column("id").to_pylist()


def _unknown(doc_id: str, param: str) -> UnknownDocument:
    return UnknownDocument(f"no document has the id {doc_id[:200]!r}", param=param)
