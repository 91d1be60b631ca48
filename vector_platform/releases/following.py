"""Which generations follow the lake between releases: the live one, and each model's newest.

Belongs here: syncing them. Does not belong here: which they are (`pointer.py`), what a sync does
(`indexes/sync.py`), or moving the live pointer (`flip.py`). All other generations stay as
they were; a release brings the one it takes up to date first.
"""

from __future__ import annotations

from vector_platform.indexes.sync import IndexSync, SyncReport
from vector_platform.releases.pointer import LivePointer


def sync_followers(
    sync: IndexSync, pointer: LivePointer, model_version: str, *, allow_delete: int = 0
) -> list[SyncReport]:
    """Sync the generations of a model version that follow the lake (`LivePointer.following`).

    The newest comes last; when there is none, it is built.
    """
    following = pointer.following(model_version)
    names: list[str | None] = [state.generation for state in following] or [None]
    return [sync.sync(model_version, generation=name, allow_delete=allow_delete) for name in names]
