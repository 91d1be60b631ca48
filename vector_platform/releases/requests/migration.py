"""Moving from one backend to another: build from the lake, prove, compare in the shadow, report.

Belongs here: the steps of a migration. Nothing is embedded and not one row is read from the old
index: the lake holds all that the new one needs. The old index is only asked queries.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from vector_platform.indexes.base import VectorIndex
from vector_platform.indexes.sync.report import SyncReport
from vector_platform.indexes.sync.sync import IndexSync
from vector_platform.lake.evaluations import Measurement, keep
from vector_platform.quality.recall.shadow import ShadowQuery, ShadowReport, Side, compare_sides
from vector_platform.releases.pointer.live import LivePointer
from vector_platform.releases.requests.policy import Override
from vector_platform.releases.requests.reconciliation import Reconciled
from vector_platform.releases.requests.service import ReleaseService

KIND = "shadow"


@dataclass(frozen=True)
class MigrationReport:
    """What a migration built and how the two sides compare.

    Attributes:
        sync: How the new generation came to be, with its proof.
        shadow: The comparison of the answers.
        release: What became of the request for a release; None when there was nothing to ask for.
    """

    sync: SyncReport
    shadow: ShadowReport
    release: Reconciled | None

    def describe(self) -> str:
        """What was built, in a line."""
        built, proof = self.sync.generation, self.sync.verification
        return (
            f"{self.shadow.new}: {built.rows} rows from the lake ({self.sync.mode}: "
            f"{self.sync.reason}), equal to {built.snapshot}"
            f"{f' ({proof.describe()})' if proof else ''}"
        )

    def facts(self) -> dict[str, Any]:
        """Numbers for metadata and JSON."""
        return {
            "build": self.sync.facts(),
            "proof": self.sync.verification.facts() if self.sync.verification else "already proven",
            "shadow": self.shadow.facts(),
            "release": self.release.facts() if self.release else None,
            "summary": self.describe(),
        }


def migrate(
    *,
    old: VectorIndex,
    old_pointer: LivePointer,
    service: ReleaseService,
    queries: list[ShadowQuery],
    k: int = 10,
    tell: Callable[[MigrationReport], None] = lambda report: None,
    release: bool = False,
    actor: str,
    reason: str,
    overrides: Mapping[Override, str] | None = None,
) -> MigrationReport:
    """Bring the model that is live on one backend to another backend.

    An index that is there already is read back in full and repaired where it differs.

    Args:
        old: Backend that serves now.
        old_pointer: Its live pointer.
        service: Release service of the backend to build on.
        queries: Recorded or golden queries, embedded by the live model.
        k: Hits to compare.
        tell: Called with the report before any pointer moves.
        release: Ask for the release on the new backend after the comparison.
        actor: Recorded with the release.
        reason: Recorded with the release.
        overrides: What to set aside for the release -> why.

    Raises:
        NothingLive: The old backend serves nothing.
        NothingToCompare: There are no queries.
    """
    serving = old_pointer.live_generation()
    report = _proven(service.context.sync, serving.model_version)
    state = report.generation
    shadow = compare_sides(
        Side(old, serving.identity), Side(service.context.target, state.identity), queries, k=k
    )
    found = MigrationReport(report, shadow, None)
    tell(found)
    live = service.context.pointer.live()
    if not release or (live and live.generation == state.generation):
        return found
    measured = Measurement(
        kind=KIND,
        subject=f"{shadow.old} {shadow.new}",
        model_version=state.model_version,
        metric=KIND,
        value=shadow.overlap,
        sample_size=shadow.queries,
        details=shadow.facts(),
    )
    compared = keep(
        service.context.lake, measured, run_id=service.context.run_id, now=service.context.clock()
    )
    reconciled = service.release(
        state, actor=actor, reason=reason, overrides=overrides or {}, evidence_ids=(compared,)
    )
    return replace(found, release=reconciled)


def _proven(sync: IndexSync, model_version: str) -> SyncReport:
    """A generation equal to the lake, by a proof of everything and not by what is on record."""
    report = sync.sync(model_version)
    proof = report.verification
    if proof is None or proof.scope != "all":
        proof = sync.verify(report.generation)
    return replace(report, verification=proof) if proof.clean else sync.repair(report.generation)
