"""Small real lakes for tests: chunks and vectors that are functions of what a test names.

Belongs here: building rows of the contract with as few words as possible.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from vector_platform.lake.contract import (
    CHUNKS,
    EMBEDDINGS,
    MODEL_VERSIONS,
    canonical_json,
    content_of,
    hash_text,
)
from vector_platform.lake.lake import Lake

START = datetime(2026, 1, 1, tzinfo=UTC)
MODEL = "tiny.v1"


def open_lake(folder: Path) -> Lake:
    return Lake(str(folder / "lake"))


def chunk(
    doc_id: str,
    text: str = "some text",
    *,
    ordinal: int = 0,
    title: str = "",
    tenant: str = "acme",
    region: str = "global",
    attributes: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    return {
        "chunk_id": f"{doc_id}#{ordinal}",
        "doc_id": doc_id,
        "ordinal": ordinal,
        "source": doc_id.partition(":")[0],
        "tenant": tenant,
        "region": region,
        "title": title,
        "text": text,
        "content_hash": hash_text(content_of(title, text)),
        "attributes": canonical_json(attributes or {}),
        "chunker": "test",
        "row_hash": None,
    }


def chunks(rows: Iterable[dict[str, Any]]) -> pa.Table:
    return pa.Table.from_pylist(list(rows), schema=CHUNKS.schema)


def put(lake: Lake, *rows: dict[str, Any], delete: Iterable[str] = ()) -> int:
    """Upsert and delete chunks in one commit."""
    return lake.chunks.merge(chunks(rows), [(chunk_id,) for chunk_id in delete])


def register(lake: Lake, model: str = MODEL, *, dimension: int = 4, seed: int = 0) -> None:
    lake.register_model(
        pa.Table.from_pylist(
            [
                {
                    "model_version": model,
                    "fingerprint": hash_text(f"{model}/{seed}"),
                    "dimension": dimension,
                    "details": "{}",
                    "registered_at": START,
                    "run_id": "register",
                }
            ],
            schema=MODEL_VERSIONS.schema,
        )
    )


def vector_of(model: str, text: str, dimension: int = 4) -> np.ndarray:
    """A unit vector that depends on the text and the model alone."""
    seed = int.from_bytes(hashlib.sha256(f"{model}/{text}".encode()).digest()[:8])
    vector = np.random.default_rng(seed).standard_normal(dimension)
    return (vector / np.linalg.norm(vector)).astype(np.float32)


def append_vectors(
    lake: Lake, model: str, vectors: Mapping[str, np.ndarray], *, run_id: str = "run", day: int = 0
) -> None:
    """Append vectors by content hash, as one run of one day."""
    lake.embeddings.append(
        pa.Table.from_pylist(
            [
                {
                    "model_version": model,
                    "content_hash": content_hash,
                    "vector": vector,
                    "fingerprint": lake.model_version(model).fingerprint,
                    "run_id": run_id,
                    "embedded_at": START + timedelta(days=day),
                }
                for content_hash, vector in sorted(vectors.items())
            ],
            schema=EMBEDDINGS.schema,
        )
    )


def embed(lake: Lake, model: str = MODEL, *, dimension: int = 4, run_id: str = "run") -> int:
    """Give every content that lacks one a vector under a model. Returns how many did."""
    register(lake, model, dimension=dimension)
    missing = {
        row["content_hash"]: vector_of(model, row["text"], dimension)
        for batch in lake.missing_contents(model, chunks_version=lake.chunks.version())
        for row in batch.to_pylist()
    }
    append_vectors(lake, model, missing, run_id=run_id)
    return len(missing)


def rows_of(batches: Iterable[pa.RecordBatch]) -> list[dict[str, Any]]:
    return [row for batch in batches for row in batch.to_pylist()]
