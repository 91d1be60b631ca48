"""The job `recalibrate_reference`: days are accepted as normal, and what they bring is asked for.

Belongs here: its configuration, its op, and the record of who decided.
"""

# Dagster reads the types of parameters as they are, so no postponed annotations here.
from datetime import date
from typing import Any

import dagster as dg

from vector_platform.errors import TerminalError
from vector_platform.lake.decisions import Decisions, utc_now
from vector_platform.orchestration.quality.drift_checks import policy_of
from vector_platform.orchestration.runs.jobs import AskedFor, ModelVersions, one_op_job
from vector_platform.quality.drift import calibration
from vector_platform.quality.drift.acceptance import days_to_accept
from vector_platform.quality.drift.verdict import judge_drift
from vector_platform.quality.retrieval.golden_proposals import GoldenProposals
from vector_platform.quality.sketches.references import Reference, newest_reference
from vector_platform.remediation.decision import PlannedRun
from vector_platform.wiring import Platform


class BadDays(TerminalError):
    """Days that are no span of days."""


class RecalibrateConfig(AskedFor):
    """Which days become what later days are compared with, and who says so.

    Attributes:
        model_versions: Whose days those are.
        first_day: First of the days (ISO); empty, with `last_day`, for the newest since the move.
        last_day: Last of the days, included.
        evaluation: The drift evaluation that is answered; empty for none.
    """

    model_versions: ModelVersions
    first_day: str = ""
    last_day: str = ""
    evaluation: str = ""


def recalibrate_config(run: PlannedRun, actor: str) -> dg.RunConfig:
    """The configuration of `recalibrate_reference` for a planned run, which is of one model."""
    config = RecalibrateConfig(
        model_versions=sorted({scope.model_version for scope in run.scopes}),
        reason=run.why,
        actor=actor,
        evaluation=run.evaluation_ids[0],
    )
    return dg.RunConfig({"recalibrate": config})


@one_op_job("recalibrate", pool="lake_embeddings")
def recalibrate_reference(
    context: dg.OpExecutionContext, config: RecalibrateConfig, platform: dg.ResourceParam[Platform]
) -> dict[str, Any]:
    """Accept the newest days since the stream moved, or the named ones, as normal.

    A feature map is fitted on them, later days are compared with them, and golden queries are
    proposed for what is new in them. Nothing is embedded, and nothing is built.
    """
    accepted: dict[str, Any] = {}
    for model_version in config.model_versions:
        accepted[model_version] = _accept(platform, model_version, config, context)
    return accepted


def _accept(
    platform: Platform,
    model_version: str,
    config: RecalibrateConfig,
    context: dg.OpExecutionContext,
) -> dict[str, Any]:
    lake = platform.lake
    # What a run that was cut off has accepted is recorded as its own, whatever is accepted now.
    known = newest_reference(lake, model_version)
    if known is not None:
        _follow(platform, known, context.run_id)
    first, last = _days(platform, model_version, config)
    reference = calibration.recalibrate_reference(
        lake,
        model_version,
        first_day=first,
        last_day=last,
        actor=config.actor,
        reason=config.reason,
        evaluation_id=config.evaluation or None,
        run_id=context.run_id,
    )
    changed = known is None or known.sequence != reference.sequence
    proposed = _follow(platform, reference, context.run_id)
    context.log.info(
        f"{model_version}: {first} to {last} "
        + (f"is reference {reference.sequence} now" if changed else "is the reference already")
    )
    return {
        "sequence": reference.sequence,
        "first_day": first.isoformat(),
        "last_day": last.isoformat(),
        "changed": changed,
        "accepted_by": reference.actor,
        "golden_queries_proposed": proposed,
    }


def _days(platform: Platform, model_version: str, config: RecalibrateConfig) -> tuple[date, date]:
    quality = platform.settings.quality
    if not (config.first_day or config.last_day):
        verdict = judge_drift(platform.lake, model_version, policy_of(quality))
        return days_to_accept(
            platform.lake, model_version, verdict, limit=quality.drift_reference_days
        )
    try:
        first = date.fromisoformat(config.first_day)
        last = date.fromisoformat(config.last_day)
    except ValueError as error:
        raise BadDays(
            f"first_day {config.first_day!r} and last_day {config.last_day!r}: name both, as "
            "YYYY-MM-DD, or neither"
        ) from error
    if last < first:
        raise BadDays(f"last_day {last} is before first_day {first}")
    return first, last


def _follow(platform: Platform, reference: Reference, run_id: str) -> int:
    """Propose golden queries and append the decision, unless that has been done.

    The platform's first reference is nobody's decision. Returns how many queries are proposed.
    """
    decisions = Decisions(platform.lake, run_id=run_id)
    subject = f"{reference.model_version} reference {reference.sequence}"
    if reference.actor == calibration.PLATFORM or decisions.about(subject):
        return 0
    proposed = GoldenProposals(platform.lake, run_id=run_id).propose(reference, now=utc_now())
    decisions.record(
        "recalibrate",
        subject,
        actor=reference.actor,
        why=reference.reason,
        evidence=(reference.evaluation_id,) if reference.evaluation_id else (),
        before=f"reference {reference.sequence - 1}" if reference.sequence > 1 else None,
        after=f"{reference.first_day} to {reference.last_day}",
    )
    return len(proposed)
