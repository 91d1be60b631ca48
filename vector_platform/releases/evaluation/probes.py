"""Probe queries, asked for real: what a generation answers, and how fast.

Belongs here: choosing probes and asking generations.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from vector_platform.errors import VectorPlatformError
from vector_platform.indexes.base import VectorIndex
from vector_platform.indexes.contract import Generation, Hit
from vector_platform.lake.contract import hash_text
from vector_platform.lake.lake import Lake
from vector_platform.lake.storage.joins import scan, spilling_duckdb
from vector_platform.quality.exact import vectors_of
from vector_platform.quality.recall.index_recall import Timer
from vector_platform.quality.retrieval.measures import asked_scope, golden_set

# Enough to see one failing answer in a hundred and a 95th percentile, and quick to ask.
PROBES = 200
K = 10


class QueryEncoder(Protocol):
    """What asking an index needs of a model."""

    def encode_queries(self, texts: list[str]) -> np.ndarray:
        """Unit float32 vectors of shape (len(texts), dimension)."""
        ...


@dataclass(frozen=True)
class Probe:
    """One query: its id and text, its vector under a model, and the tenant it is confined to."""

    query_id: str
    text: str
    vector: npt.NDArray[np.float32]
    tenant: str | None


@dataclass(frozen=True)
class Answer:
    """What a generation answered to a probe.

    Attributes:
        hits: Best first; empty when the search failed.
        ms: Latency in milliseconds.
        error: What went wrong, or empty.
    """

    hits: tuple[Hit, ...]
    ms: float
    error: str = ""


Probes = Callable[[str], list[Probe]]


def probes_of(
    lake: Lake, model_version: str, open_encoder: Callable[[str], QueryEncoder] | None
) -> list[Probe]:
    """Golden queries under a model; without any, or an encoder, stored vectors as queries.

    Always the same ones for the same lake: those with the smallest hashes.
    """
    golden = lake.golden_queries.read()
    if golden.num_rows and open_encoder is not None:
        known = golden_set(golden).sample(PROBES)
        vectors = open_encoder(model_version).encode_queries(list(known.texts))
        return [
            Probe(*parts)
            for parts in zip(known.query_ids, known.texts, vectors, known.tenants, strict=True)
        ]
    return _stored_vectors(lake, model_version)


def _stored_vectors(lake: Lake, model_version: str) -> list[Probe]:
    """Chosen by their ids alone: no vector and no text is read but theirs."""
    snapshot = lake.snapshot()
    with spilling_duckdb() as db:
        db.register("chunks", scan(lake.chunks.dataset(snapshot.chunks), ["chunk_id"]))
        chosen = db.sql(
            "SELECT chunk_id AS id FROM chunks ORDER BY md5(chunk_id), chunk_id LIMIT $most",
            params={"most": PROBES},
        ).to_arrow_table()
    dimension = lake.model_version(model_version).dimension
    probes = [
        Probe(row["id"], row["text"], vector, row["tenant"])
        for batch in lake.index_rows(model_version, snapshot, ids=chosen)
        for row, vector in zip(
            batch.select(["id", "text", "tenant"]).to_pylist(),
            vectors_of(batch, dimension),
            strict=True,
        )
    ]
    return sorted(probes, key=lambda probe: hash_text(probe.query_id))


def ask(
    target: VectorIndex,
    generation: Generation,
    probe: Probe,
    *,
    k: int = K,
    timer: Timer = time.perf_counter,
) -> Answer:
    """Search once, as serving does. No answer is an answer with an error, not an exception."""
    started = timer()
    try:
        scope = asked_scope(probe.tenant)
        hits = tuple(target.search(generation, probe.vector, k=k, scope=scope))
    except VectorPlatformError as error:
        return Answer((), (timer() - started) * 1000, str(error))
    return Answer(hits, (timer() - started) * 1000)
