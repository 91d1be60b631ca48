"""A reader at full speed: the search path of the platform, the live pointer read at every query.

Belongs here: one reader's loop and what it must never see.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from vector_platform.errors import VectorPlatformError
from vector_platform.indexes.base import VectorIndex
from vector_platform.lake.lake import Lake
from vector_platform.serving.search import SearchService
from vector_platform.settings import BackendName
from vector_platform_tests.faults.corpus import DIMENSION, TENANTS
from vector_platform_tests.lake.building import vector_of

STOP, ERASED = "stop", "erased.json"


class Encoder:
    """Embeds a query as the corpus embeds its texts."""

    def __init__(self, model_version: str) -> None:
        self._model_version = model_version

    def encode_queries(self, texts: list[str]) -> np.ndarray:
        return np.stack([vector_of(self._model_version, text, DIMENSION) for text in texts])


def read_until_told(
    lake: Lake,
    target: VectorIndex,
    folder: Path,
    backend: BackendName,
    switched: Callable[[str], None],
) -> dict[str, Any]:
    """Search without a pause until the file `stop` is there; returns what went wrong, if anything.

    What the file `erased.json` lists, as pairs of id and text, before a query begins must not be
    in its answer.

    Args:
        lake: Where the live pointer is.
        target: The backend.
        folder: Where the two files are.
        backend: Its name.
        switched: Called with each generation that answers after another one.
    """
    service = SearchService(lake, "documents", open_index=lambda name: target, open_encoder=Encoder)
    reads, failures, empty, risen = 0, [], 0, []
    slowest, generation = 0.0, ""
    while not (folder / STOP).exists():
        tenant = (None, *TENANTS)[reads % (1 + len(TENANTS))]
        erased = {(row_id, text) for row_id, text in json.loads((folder / ERASED).read_text())}
        started = time.perf_counter()
        try:
            found = service.search(f"question {reads}", backend=backend, tenant=tenant, k=5)
        except VectorPlatformError as error:
            failures.append(f"{type(error).__name__}: {error}")
        else:
            empty += not found.hits
            risen += [hit.id for hit in found.hits if (hit.id, hit.text) in erased]
            if found.generation != generation:
                generation = found.generation
                switched(generation)
        slowest = max(slowest, time.perf_counter() - started)
        reads += 1
    return {
        "reads": reads,
        "failures": failures[:5],
        "failed": len(failures),
        "empty": empty,
        "risen": risen[:5],
        "slowest_seconds": slowest,
    }
