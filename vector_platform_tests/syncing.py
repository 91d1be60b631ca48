"""A sync as tests mostly want one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from vector_platform.indexes.base import VectorIndex
from vector_platform.indexes.sync.context import SyncContext
from vector_platform.indexes.sync.sync import IndexSync
from vector_platform.lake.lake import Lake

USUAL: dict[str, Any] = {
    "index": "documents",
    "spec": "{}",
    "max_delete_share": 0.5,
    "run_id": "run",
}


def index_sync(lake: Lake, target: VectorIndex, folder: Path, **given: Any) -> IndexSync:
    """A sync of the index `documents` with its locks below a folder, unless said otherwise."""
    return IndexSync(SyncContext(lake, target, lock_dir=folder / "locks", **(USUAL | given)))
