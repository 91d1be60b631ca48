"""Names of assets, once: equal in every environment.

Belongs here: keys that more than one file needs, and what Dagster is told of a check by its record.
"""

from __future__ import annotations

from typing import Any

import dagster as dg

from vector_platform.remediation.checks import CHECKS
from vector_platform.settings import BackendName, Settings

MART_DOCUMENTS = dg.AssetKey(["marts", "documents"])
MART_RELATIONS = dg.AssetKey(["marts", "relations"])
DOCUMENTS = dg.AssetKey(["lake", "documents"])
RELATIONS = dg.AssetKey(["lake", "relations"])
CHUNKS = dg.AssetKey(["lake", "chunks"])
EMBEDDINGS = dg.AssetKey(["lake", "embeddings"])
GOLDEN_QUERIES = dg.AssetKey(["lake", "golden_queries"])
RETRIEVAL = dg.AssetKey(["quality", "retrieval"])

# Run tags.
EVALUATION_TAG = "vector_platform/evaluation"
REASON_TAG = "vector_platform/reason"


def raw(source: str) -> dg.AssetKey:
    """The raw asset of a source."""
    return dg.AssetKey(["raw", source])


def index_pool(backend: BackendName) -> str:
    """The pool of all that writes generations which readers see: syncs and repairs."""
    return f"index_{backend}"


def index(backend: BackendName, settings: Settings) -> dg.AssetKey:
    """The index asset of a backend, e.g. `milvus/documents`."""
    return dg.AssetKey([backend, settings.indexes.name])


def declared(check: str) -> dict[str, Any]:
    """What Dagster is told of a check: its name, what it asserts, and whether it blocks."""
    record = CHECKS[check]
    return {"name": record.name, "description": record.asserts, "blocking": record.blocks}
