"""Moving from one backend to another: build from the lake, prove, compare in the shadow, report.

Belongs here: the steps of a migration. Does not belong here: how a generation is built
(`indexes`) or compared (`quality/shadow.py`). Nothing is embedded and not one row is read from
the old index: the lake holds all that the new one needs. The old index is only asked queries.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from vector_platform.indexes.base import VectorIndex
from vector_platform.indexes.sync import IndexSync, SyncReport
from vector_platform.quality.shadow import ShadowQuery, ShadowReport, Side, compare_sides
from vector_platform.releases.flip import release_generation
from vector_platform.releases.pointer import LivePointer


@dataclass(frozen=True)
class MigrationReport:
    """What a migration built and how the two sides compare.

    Attributes:
        sync: How the new generation came to be, with its proof.
        shadow: The comparison of the answers.
        released: Whether the new backend's live pointer was moved.
    """

    sync: SyncReport
    shadow: ShadowReport
    released: bool

    def facts(self) -> dict[str, Any]:
        """Numbers for metadata and JSON."""
        return {
            "build": self.sync.facts(),
            "proof": self.sync.verification.facts() if self.sync.verification else "already proven",
            "shadow": self.shadow.facts(),
            "released": self.released,
        }


def migrate(
    *,
    old: VectorIndex,
    old_pointer: LivePointer,
    new: VectorIndex,
    new_pointer: LivePointer,
    sync: IndexSync,
    queries: list[ShadowQuery],
    k: int = 10,
    tell: Callable[[MigrationReport], None] = lambda report: None,
    release: bool = False,
    actor: str,
    reason: str,
    run_id: str,
) -> MigrationReport:
    """Bring the model that is live on one backend to another backend.

    An index that is there already is read back in full and repaired where it differs.

    Args:
        old: Backend that serves now.
        old_pointer: Its live pointer.
        new: Backend to build on.
        new_pointer: Its live pointer.
        sync: Sync of the new backend.
        queries: Recorded or golden queries, embedded by the live model.
        k: Hits to compare.
        tell: Called with the report before any pointer moves.
        release: Move the new backend's live pointer after the comparison.
        actor: Recorded with the release.
        reason: Recorded with the release.
        run_id: Recorded with the release.

    Raises:
        NothingLive: The old backend serves nothing.
        NothingToCompare: There are no queries.
    """
    serving = old_pointer.live_generation()
    report = _proven(sync, serving.model_version)
    shadow = compare_sides(
        Side(old, serving.identity), Side(new, report.generation.identity), queries, k=k
    )
    found = MigrationReport(report, shadow, released=False)
    tell(found)
    if release:
        release_generation(
            new_pointer,
            new,
            sync,
            report.generation,
            actor=actor,
            reason=reason,
            evidence={"migration": shadow.facts()},
            run_id=run_id,
        )
    return replace(found, released=release)


def _proven(sync: IndexSync, model_version: str) -> SyncReport:
    """A generation equal to the lake, by a proof of everything and not by what is on record."""
    report = sync.sync(model_version)
    proof = report.verification
    if proof is None or proof.scope != "all":
        proof = sync.verify(report.generation)
    return replace(report, verification=proof) if proof.clean else sync.repair(report.generation)
