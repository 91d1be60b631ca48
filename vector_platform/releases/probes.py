"""Probe queries, asked for real: what a generation answers, how fast, and how completely.

Belongs here: choosing probes, asking generations, recall by slice. Does not belong here: judging
the numbers (`gates.py`, `watch.py`).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from vector_platform.errors import VectorPlatformError
from vector_platform.indexes.base import VectorIndex
from vector_platform.indexes.contract import Generation, Hit
from vector_platform.lake.contract import hash_text
from vector_platform.lake.lake import Lake, Snapshot
from vector_platform.quality.retrieval import golden_set
from vector_platform.quality.statistics import bootstrap_mean
from vector_platform.releases.gates import EVERYTHING, SliceRecall

# Enough for a standard error of recall@10 below .02, and quick to ask.
PROBES = 200
K = 10
# Two float32 scores of one pair of vectors differ by less; see `exact.PRODUCT_ERROR`.
TIE = 1e-4
SEED = 0


class QueryEncoder(Protocol):
    """What probing needs of a model."""

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
    lake: Lake, model_version: str, open_encoder: Callable[[str], QueryEncoder]
) -> list[Probe]:
    """Golden queries under a model; without any, stored vectors as queries.

    Always the same ones for the same lake: those with the smallest hashes.
    """
    golden = lake.golden_queries.read()
    if golden.num_rows:
        known = golden_set(golden)
        order = sorted(range(len(known.texts)), key=lambda at: hash_text(known.query_ids[at]))
        places = order[:PROBES]
        vectors = open_encoder(model_version).encode_queries([known.texts[at] for at in places])
        return [
            Probe(known.query_ids[at], known.texts[at], vector, known.tenants[at])
            for at, vector in zip(places, vectors, strict=True)
        ]
    return _stored_vectors(lake, model_version)


def _stored_vectors(lake: Lake, model_version: str) -> list[Probe]:
    chosen: list[tuple[str, Probe]] = []
    for batch in lake.index_rows(model_version, lake.snapshot()):
        for row in batch.select(["id", "tenant", "text", "vector"]).to_pylist():
            vector = np.asarray(row["vector"], np.float32)
            probe = Probe(row["id"], row["text"], vector, row["tenant"])
            chosen.append((hash_text(row["id"]), probe))
        chosen = sorted(chosen, key=lambda pair: pair[0])[:PROBES]
    return [probe for _, probe in chosen]


def ask(target: VectorIndex, generation: Generation, probe: Probe, k: int = K) -> Answer:
    """Search once, as serving does. No answer is an answer with an error, not an exception."""
    started = time.perf_counter()
    try:
        hits = tuple(target.search(generation, probe.vector, k=k, tenant=probe.tenant))
    except VectorPlatformError as error:
        return Answer((), (time.perf_counter() - started) * 1000, str(error))
    return Answer(hits, (time.perf_counter() - started) * 1000)


def recall_by_slice(
    lake: Lake,
    model_version: str,
    snapshot: Snapshot,
    probes: Sequence[Probe],
    answers: Sequence[Answer],
    k: int = K,
) -> tuple[SliceRecall, ...]:
    """Recall@k of the answers, over everything and for each tenant.

    A hit counts when its score reaches that of the k-th exact row, so that rows of equal text,
    which tie, may stand for each other.
    """
    bars = _exact_bars(lake, model_version, snapshot, probes, k)
    values: dict[str, list[float]] = {}
    for probe, answer, (bar, wanted) in zip(probes, answers, bars, strict=True):
        if wanted == 0:
            continue
        found = sum(hit.score >= bar - TIE for hit in answer.hits[:wanted])
        for name in (EVERYTHING, f"tenant={probe.tenant}" if probe.tenant else ""):
            values.setdefault(name, []).append(found / wanted)
    values.pop("", None)
    return tuple(_slice(name, np.array(found)) for name, found in sorted(values.items()))


def _slice(name: str, values: npt.NDArray[np.float64]) -> SliceRecall:
    found = bootstrap_mean(values, seed=SEED)
    return SliceRecall(name, found.mean, found.low, found.high, found.count)


def _exact_bars(
    lake: Lake, model_version: str, snapshot: Snapshot, probes: Sequence[Probe], k: int
) -> list[tuple[float, int]]:
    """(score of the k-th exact row, rows wanted) of every probe; streams the lake once."""
    queries = np.stack([probe.vector for probe in probes])
    best = np.full((len(probes), k), -np.inf, dtype=np.float32)
    for batch in lake.index_rows(model_version, snapshot):
        flat = batch.column("vector").flatten().to_numpy(zero_copy_only=False)
        vectors = np.ascontiguousarray(flat.reshape(batch.num_rows, -1), dtype=np.float32)
        scores = queries @ vectors.T
        owners = np.asarray(batch.column("tenant").to_pylist(), dtype=object)
        scores[_elsewhere(probes, owners)] = -np.inf
        joined = np.concatenate([best, scores], axis=1)
        best = np.partition(joined, joined.shape[1] - k, axis=1)[:, -k:]
    wanted = np.isfinite(best).sum(axis=1)
    lowest = np.where(np.isfinite(best), best, np.inf).min(axis=1)
    return [(float(bar), int(count)) for bar, count in zip(lowest, wanted, strict=True)]


def _elsewhere(probes: Iterable[Probe], owners: npt.NDArray[np.object_]) -> npt.NDArray[np.bool_]:
    """Which rows of a batch each probe may not see."""
    return np.stack(
        [
            np.zeros(len(owners), bool) if probe.tenant is None else owners != probe.tenant
            for probe in probes
        ]
    )
