"""What is said to Milvus: index parameters, the mark on a collection.

Belongs here: pure functions from our values to Milvus' terms.
"""

from __future__ import annotations

import json
import re
import zlib
from collections.abc import Mapping
from typing import Any, Final

from vector_platform.indexes.backends.milvus.settings import (
    BUILD,
    SEARCH,
    MilvusSettings,
    Parameter,
)
from vector_platform.indexes.contract import Generation
from vector_platform.indexes.marks import CREATOR, mark

# The first version whose upsert puts rows where the tenant's filter looks.
_SOUND_UPSERT: Final = (2, 4)
_HASHED_BYTES: Final = 100


def build_params(settings: MilvusSettings) -> dict[str, int]:
    """Parameters an index is built with: the type's defaults, then the settings."""
    return _defaults(BUILD[settings.index_type]) | settings.index_params


def search_params(settings: MilvusSettings, k: int) -> dict[str, int]:
    """Parameters of a search for k rows. HNSW finds no more rows than it visits: `ef` >= k."""
    params = _defaults(SEARCH[settings.index_type]) | settings.search_params
    return params | {"ef": max(params["ef"], k)} if "ef" in params else params


def _defaults(parameters: Mapping[str, Parameter]) -> dict[str, int]:
    return {name: one.default for name, one in parameters.items() if one.default is not None}


def upsert_keeps_tenants(version: str) -> bool:
    """Whether upsert puts a row into the partition of its tenant.

    Milvus 2.3 picks the partition by the primary key instead (milvus-io/milvus#30607): the row is
    stored and counted, found without a filter and by its id, and never under its tenant. A
    version that says nothing of itself is taken to be sound; verify would say so.
    """
    numbers = re.match(r"v?(\d+)\.(\d+)", version)
    return numbers is None or (int(numbers[1]), int(numbers[2])) >= _SOUND_UPSERT


def negates_ranges(version: str) -> bool:
    """Whether `not (x > 1)` holds for a row without a number `x`.

    It does on server 2.3, and not on Milvus Lite 3.2; of versions that were not asked, the wider
    answer is taken.
    """
    return re.match(r"v?2\.3\.", version) is not None


def collection_mark(generation: Generation) -> dict[str, str]:
    """What a collection says of who made it and for what.

    With the generation, because an alias of that name may lead to a collection of another one.
    """
    return mark(generation) | {"generation": generation.name}


def partition_of(tenant: str, partitions: int) -> int:
    """Number of the partition where Milvus keeps and looks for a tenant's rows.

    The server's own rule (`HashKey2Partitions`): CRC-32 of the first 100 bytes. Were it another,
    filters by tenants of one partition would find the same rows, in more partitions.
    """
    return zlib.crc32(tenant.encode()[:_HASHED_BYTES]) % partitions


def read_mark(described: Mapping[str, Any]) -> dict[str, str] | None:
    """The mark of a described collection, from its properties or from its description.

    It is written to both: Milvus Lite forgets descriptions, and an old server may not keep
    properties it does not know.
    """
    for found in (described.get("properties"), _json_object(described.get("description"))):
        if found and found.get("creator") == CREATOR:
            return {str(key): str(value) for key, value in found.items()}
    return None


def _json_object(text: str | None) -> dict[str, Any] | None:
    try:
        value = json.loads(text or "")
    except json.JSONDecodeError:
        return None
    return value if isinstance(value, dict) else None
