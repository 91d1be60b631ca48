"""Names of assets and checks, once: equal in every environment.

Belongs here: keys that more than one file needs.
"""

from __future__ import annotations

import dagster as dg

from vector_platform.settings import BackendName, Settings

MART_DOCUMENTS = dg.AssetKey(["marts", "documents"])
MART_RELATIONS = dg.AssetKey(["marts", "relations"])
DOCUMENTS = dg.AssetKey(["lake", "documents"])
RELATIONS = dg.AssetKey(["lake", "relations"])
CHUNKS = dg.AssetKey(["lake", "chunks"])
EMBEDDINGS = dg.AssetKey(["lake", "embeddings"])
GOLDEN_QUERIES = dg.AssetKey(["lake", "golden_queries"])
RETRIEVAL = dg.AssetKey(["quality", "retrieval"])

MODEL_ANSWERS = "model_answers_as_registered"
NO_DRIFT = "distribution_has_not_drifted"
RECALL_HOLDS = "index_recall_holds"
QUALITY_HOLDS = "retrieval_quality_holds"
INDEX_MATCHES = "index_matches_lake"
MIRROR_FOLLOWS = "mirror_follows_pointer"
EVERY_ROW_INDEXED = "every_row_is_indexed"

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
