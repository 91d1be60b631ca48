"""Which generations follow the lake between releases: the live one, and each model's newest.

Belongs here: that choice. Does not belong here: what a sync does (`indexes/sync.py`), or moving
the live pointer (`flip.py`). All other generations stay as they were; a release brings the
one it takes up to date first.
"""

from __future__ import annotations

from vector_platform.indexes.sync import IndexSync, SyncReport
from vector_platform.releases.pointer import LivePointer


def sync_followers(
    sync: IndexSync, pointer: LivePointer, model_version: str, *, allow_delete: int = 0
) -> list[SyncReport]:
    """Sync the generations of a model version that follow the lake: the live one and the newest.

    A newer generation may be waiting for its release while readers still see the live one; both
    follow. The newest comes last; when there is none, it is built.
    """
    reports = []
    live = pointer.live()
    newest = sync.states.newest(model_version)
    waiting = newest is not None and live is not None and live.generation != newest.generation
    if live and waiting and live.model_version == model_version:
        reports.append(
            sync.sync(model_version, generation=live.generation, allow_delete=allow_delete)
        )
    reports.append(sync.sync(model_version, allow_delete=allow_delete))
    return reports
