"""Which generations follow the lake between releases: the live one, and each model's newest.

Belongs here: syncing them. All other generations stay as they were; a release brings the one it
takes up to date first.
"""

from __future__ import annotations

from contextlib import suppress

from vector_platform.indexes.lock import SyncInProgress
from vector_platform.indexes.sync.report import SyncReport
from vector_platform.indexes.sync.sync import IndexSync
from vector_platform.releases.pointer.live import LivePointer


def sync_followers(
    sync: IndexSync, pointer: LivePointer, model_version: str, *, allow_delete: int = 0
) -> list[SyncReport]:
    """Sync the generations of a model version that follow the lake (`LivePointer.following`).

    The newest comes last; when there is none, it is built. Beside a live generation the newest is
    not waited for: whoever is building it brings it up to date, and the next run follows.
    """
    following = pointer.following(model_version)
    if not following:
        return [sync.sync(model_version, allow_delete=allow_delete)]
    first, *others = [state.generation for state in following]
    reports = [sync.sync(model_version, generation=first, allow_delete=allow_delete)]
    for name in others:
        with suppress(SyncInProgress):
            reports.append(
                sync.sync(model_version, generation=name, allow_delete=allow_delete, wait_seconds=0)
            )
    return reports
