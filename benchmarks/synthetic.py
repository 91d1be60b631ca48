"""Synthetic lakes of any size: rows that are functions of their number, so every run is the same.

Belongs here: chunks and unit vectors of the contract, written the way the pipeline writes them
(chunks in one merge, vectors in commits that are ordered by content hash).
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pyarrow as pa

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from vector_platform.lake.contract import CHUNKS, EMBEDDINGS, MODEL_VERSIONS, content_of, hash_text  # noqa: E402 (runs from any folder)
from vector_platform.lake.lake import Lake  # noqa: E402

MODEL = "synthetic.v1"
FINGERPRINT = hash_text(MODEL)
DIMENSION = 384
TENANTS = 50
# Rows of one commit of vectors, as large as the pipeline's become on a fast model.
VECTORS_A_COMMIT = 50_000
_START = datetime(2026, 1, 1, tzinfo=UTC)
_WORDS = (
    *("request", "returns", "list", "versions", "match", "filters", "name", "resource", "state"),
    *("owner", "region", "key", "policy", "time", "change", "weighted", "record"),
)


def chunk_rows(
    numbers: range | np.ndarray, *, edition: int = 0, tenants: int = TENANTS
) -> pa.Table:
    """Chunks by number, about 330 characters each; another edition has other texts."""
    ids, titles, texts, hashes = [], [], [], []
    for number in numbers:
        words = [
            _WORDS[(number * 7 + step * (1 + number % 13)) % len(_WORDS)] for step in range(60)
        ]
        ids.append(f"synthetic:{number}")
        titles.append(f"Operation {number}")
        texts.append(f"{edition} {number} {' '.join(words)}")
        hashes.append(hash_text(content_of(titles[-1], texts[-1])))
    count = len(ids)
    return pa.table(
        {
            "chunk_id": [f"{doc_id}#0" for doc_id in ids],
            "doc_id": ids,
            "ordinal": pa.array([0] * count, pa.int32()),
            "source": ["synthetic"] * count,
            "tenant": [f"tenant-{int(number) % tenants:02d}" for number in numbers],
            "region": ["global"] * count,
            "title": titles,
            "text": texts,
            "content_hash": hashes,
            "attributes": [f'{{"number":{number},"state":"active"}}' for number in numbers],
            "chunker": ["synthetic"] * count,
            "row_hash": pa.nulls(count, pa.string()),
        },
        schema=CHUNKS.schema,
    )


def vector_rows(hashes: list[str], dimension: int = DIMENSION) -> pa.Table:
    """A unit vector for each content hash; depends on the hashes of the call alone."""
    seed = int.from_bytes(hashlib.sha256("".join(hashes).encode()).digest()[:8])
    matrix = np.random.default_rng(seed).standard_normal((len(hashes), dimension), np.float32)
    matrix /= np.linalg.norm(matrix, axis=1, keepdims=True)
    count = len(hashes)
    offsets = pa.array(np.arange(count + 1, dtype=np.int32) * dimension)
    return pa.table(
        {
            "model_version": [MODEL] * count,
            "content_hash": hashes,
            "vector": pa.ListArray.from_arrays(offsets, pa.array(matrix.reshape(-1))),
            "fingerprint": [FINGERPRINT] * count,
            "run_id": ["synthetic"] * count,
            "embedded_at": pa.array([_START] * count, EMBEDDINGS.schema.field("embedded_at").type),
        },
        schema=EMBEDDINGS.schema,
    )


def register(lake: Lake, dimension: int = DIMENSION) -> None:
    """Bind the synthetic model version."""
    lake.register_model(
        pa.Table.from_pylist(
            [
                {
                    "model_version": MODEL,
                    "fingerprint": FINGERPRINT,
                    "dimension": dimension,
                    "details": "{}",
                    "registered_at": _START,
                    "run_id": "synthetic",
                }
            ],
            schema=MODEL_VERSIONS.schema,
        )
    )


def missing_vectors(lake: Lake, dimension: int = DIMENSION) -> Iterator[pa.Table]:
    """Vectors of the contents that have none, in commits' worth, ordered by content hash."""
    hashes: list[str] = []
    for batch in lake.missing_contents(MODEL, chunks_version=lake.chunks.version()):
        hashes += batch.column("content_hash").to_pylist()
        while len(hashes) >= VECTORS_A_COMMIT:
            yield vector_rows(hashes[:VECTORS_A_COMMIT], dimension)
            del hashes[:VECTORS_A_COMMIT]
    if hashes:
        yield vector_rows(hashes, dimension)


def build_lake(folder: Path, rows: int, tenants: int = TENANTS, dimension: int = DIMENSION) -> Lake:
    """A lake of so many chunks of so many tenants, all embedded."""
    lake = Lake(str(folder))
    register(lake, dimension)
    lake.chunks.merge(chunk_rows(range(rows), tenants=tenants))
    for vectors in missing_vectors(lake, dimension):
        lake.embeddings.append(vectors)
    return lake


def change(lake: Lake, rows: int, share: float, *, edition: int, tenants: int = TENANTS) -> int:
    """Give a share of the chunks, spread evenly, new texts and vectors; returns how many."""
    numbers = np.linspace(0, rows - 1, round(rows * share)).astype(int)
    lake.chunks.merge(chunk_rows(numbers, edition=edition, tenants=tenants))
    for vectors in missing_vectors(lake):
        lake.embeddings.append(vectors)
    return len(numbers)
