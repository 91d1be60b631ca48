"""Registering an embedder in a lake, as an embedding run does before anything else."""

from __future__ import annotations

import pyarrow as pa

from vector_platform.lake.contract import MODEL_VERSIONS
from vector_platform.lake.lake import Lake
from vector_platform.models.base import Embedder
from vector_platform_tests.lake.building import START


def register_embedder(lake: Lake, model: Embedder, *, name: str | None = None) -> None:
    row = {
        "model_version": name or model.name,
        "fingerprint": model.fingerprint.digest,
        "dimension": model.dimension,
        "details": "{}",
        "registered_at": START,
        "run_id": "register",
    }
    lake.register_model(pa.Table.from_pylist([row], schema=MODEL_VERSIONS.schema))
