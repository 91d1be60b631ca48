"""Jobs that keep a slice of documents from readers, and give it back when it is mended.

Belongs here: thin ops around `lake/slices/quarantine.py`, the record of who decided, and the
chunks that follow at once. Vectors and indexes follow the chunks as they always do, through the
delete guard.
"""

# Dagster reads the types of parameters as they are, so no postponed annotations here.
from collections.abc import Sequence
from datetime import date
from typing import Any

import dagster as dg

from vector_platform.lake.decisions import Decisions, What, utc_now
from vector_platform.lake.slices.quarantine import Quarantine, SliceQuarantine
from vector_platform.lake.slices.slices import Slice
from vector_platform.orchestration import keys
from vector_platform.orchestration.corpus.checks import audited_chunks
from vector_platform.orchestration.corpus.chunks import cut_documents
from vector_platform.orchestration.runs.jobs import AnySource, AskedFor, JobConfig, one_op_job
from vector_platform.remediation.checks import CHUNKS
from vector_platform.remediation.decision import PlannedRun
from vector_platform.wiring import Platform


class SliceConfig(JobConfig):
    """A slice of documents; at least one of source and tenant is named.

    Attributes:
        source: Name of the source; empty for all.
        tenant: The tenant; empty for all.
        since: First day (UTC, ISO) of a document's last change; empty for all days.
    """

    source: AnySource = ""
    tenant: str = ""
    since: str = ""


class QuarantineConfig(AskedFor):
    """What is kept from readers, and who says so.

    Attributes:
        slices: Which documents.
        evaluation: The measurement that asked for it; empty for none.
    """

    slices: list[SliceConfig]
    evaluation: str = ""


class ReplayConfig(AskedFor):
    """What is given back to readers, and who says so.

    Attributes:
        quarantines: Their ids.
        as_is: Also when no document of a slice is known to have changed since.
    """

    quarantines: list[str]
    as_is: bool = False


def quarantine_config(run: PlannedRun, actor: str) -> dg.RunConfig:
    """The configuration of `quarantine_slice` for a planned run."""
    slices = {
        (scope.source, scope.tenant, scope.since): SliceConfig(
            source=scope.source, tenant=scope.tenant, since=scope.since
        )
        for scope in run.scopes
    }
    config = QuarantineConfig(
        slices=list(slices.values()),
        reason=run.why,
        actor=actor,
        evaluation=run.evaluation_ids[0],
    )
    return dg.RunConfig({"quarantine": config})


@one_op_job("quarantine", pool="lake_chunks")
def quarantine_slice(
    context: dg.OpExecutionContext, config: QuarantineConfig, platform: dg.ResourceParam[Platform]
) -> list[dict[str, Any]]:
    """Keep documents of a source or tenant from readers.

    They stay in the lake and have no chunks until replay_slice. Indexes follow, through the
    delete guard.
    """
    slices = [
        Slice(one.source, one.tenant, date.fromisoformat(one.since) if one.since else None)
        for one in config.slices
    ]
    quarantined = SliceQuarantine(platform.lake)
    held = [
        quarantined.add(
            slice_,
            actor=config.actor,
            reason=config.reason,
            evaluation_id=config.evaluation or None,
            run_id=context.run_id,
            now=utc_now(),
        )
        for slice_ in slices
    ]
    for one in held:
        _record(platform, "quarantine", one, one.actor, one.reason, context.run_id)
    _follow(context, platform)
    return _facts(quarantined, held)


@one_op_job("replay", pool="lake_chunks")
def replay_slice(
    context: dg.OpExecutionContext, config: ReplayConfig, platform: dg.ResourceParam[Platform]
) -> list[dict[str, Any]]:
    """End a quarantine: its documents are cut and embedded as they have been landed by now.

    Refused while none of them has changed, unless it is to be given back as it is.
    """
    quarantined = SliceQuarantine(platform.lake)
    lifted = [
        quarantined.lift(
            quarantine_id,
            actor=config.actor,
            reason=config.reason,
            now=utc_now(),
            as_is=config.as_is,
        )
        for quarantine_id in config.quarantines
    ]
    for one in lifted:
        actor, reason = one.lifted_by or config.actor, one.lift_reason or config.reason
        _record(platform, "replay", one, actor, reason, context.run_id)
    _follow(context, platform)
    return _facts(quarantined, lifted)


def _record(
    platform: Platform, what: What, one: Quarantine, actor: str, reason: str, run_id: str
) -> None:
    """Append the decision, unless a run that was cut off has done it."""
    decisions = Decisions(platform.lake, run_id=run_id)
    if any(known.what == what for known in decisions.about(one.quarantine_id)):
        return
    evidence = (one.evaluation_id,) if what == "quarantine" and one.evaluation_id else ()
    decisions.record(
        what, one.quarantine_id, actor=actor, why=reason, evidence=evidence, after=str(one.slice)
    )


def _facts(quarantined: SliceQuarantine, found: Sequence[Quarantine]) -> list[dict[str, Any]]:
    return [{**one.facts(), "documents": len(quarantined.documents(one.slice))} for one in found]


def _follow(context: dg.OpExecutionContext, platform: Platform) -> None:
    """Cut what may be cut now, and check it: nothing downstream runs on unchecked chunks."""
    version, metadata = cut_documents(platform, context.run_id)
    context.log_event(
        dg.AssetMaterialization(
            asset_key=keys.placed(keys.CHUNKS, platform.settings),
            metadata=metadata,
            tags={"dagster/data_version": f"chunks@{version}"},
        )
    )
    found = audited_chunks(platform)
    # Dagster takes it at any time; its annotation names only the other events.
    context.log_event(
        dg.AssetCheckEvaluation(  # type: ignore[arg-type]
            asset_key=keys.placed(keys.CHUNKS, platform.settings),
            check_name=CHUNKS,
            passed=found.passed,
            metadata=found.metadata,
            blocking=True,
        )
    )
