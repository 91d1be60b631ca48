"""Drift checks: has the distribution of new vectors moved? Never blocking.

Belongs here: `distribution_has_not_drifted` of every model version. Does not belong here: the
verdict (`quality/drift.py`) or the action (`sensors.py`). Too few days is a pass that says so; a
lake that cannot be read raises.
"""

# Dagster reads the types of parameters as they are, so no postponed annotations here.
from datetime import timedelta

import dagster as dg

from vector_platform.orchestration import keys
from vector_platform.orchestration.partitions import model_versions
from vector_platform.orchestration.retries import retry_by_type
from vector_platform.quality.drift import DriftPolicy, DriftVerdict, judge_drift
from vector_platform.quality.explanation import explain
from vector_platform.quality.plots import as_markdown, projection, score_timeline
from vector_platform.quality.references import EPOCH
from vector_platform.settings import Quality, Settings
from vector_platform.wiring import Platform

# Days of the time line: a quarter of a year reads well.
DAYS_SHOWN = 90


def build_drift_checks(settings: Settings) -> list[dg.AssetChecksDefinition]:
    """The drift check of `lake/embeddings`."""

    @dg.asset_check(
        asset=keys.EMBEDDINGS,
        name=keys.NO_DRIFT,
        partitions_def=model_versions(settings),
        description="The newest days hold what the reference days lead one to expect, as a whole "
        "and in every tenant and source (sketches of days; one threshold for a year).",
    )
    def distribution_has_not_drifted(
        context: dg.AssetCheckExecutionContext, platform: dg.ResourceParam[Platform]
    ) -> dg.AssetCheckResult:
        with retry_by_type():
            verdict = judge_drift(
                platform.lake, context.partition_key, policy_of(platform.settings.quality)
            )
            facts = verdict.facts()
            return dg.AssetCheckResult(
                passed=not verdict.drifted,
                metadata={
                    **{name: value for name, value in facts.items() if name != "slices_alarmed"},
                    "slices_alarmed": dg.MetadataValue.json(facts["slices_alarmed"]),
                    **_timeline(verdict, context.partition_key),
                    **(_what_moved(platform, verdict) if verdict.drifted else {}),
                    "what_happens": _what_happens(verdict),
                },
            )

    return [distribution_has_not_drifted]


def policy_of(quality: Quality) -> DriftPolicy:
    """The policy that the settings describe."""
    return DriftPolicy(
        false_alarms_a_year=quality.drift_false_alarms_a_year,
        false_discovery_rate=quality.drift_false_discovery_rate,
        least_new_mass=quality.drift_least_new_mass,
        min_rows=quality.drift_min_rows,
    )


def _timeline(verdict: DriftVerdict, model_version: str) -> dict[str, dg.MetadataValue]:
    looks = verdict.looks
    if looks is None or len(looks.dates) == 0:
        return {}
    title = f"{model_version}: {verdict.outcome}"
    picture = score_timeline(
        [EPOCH + timedelta(days=int(day)) for day in looks.dates[-DAYS_SHOWN:]],
        {f"{width} days": looks.scores[-DAYS_SHOWN:, at] for at, width in enumerate(looks.windows)},
        threshold=verdict.threshold,
        title=title,
    )
    return {"timeline": dg.MetadataValue.md(as_markdown(picture, title))}


def _what_moved(platform: Platform, verdict: DriftVerdict) -> dict[str, dg.MetadataValue]:
    found = explain(platform.lake, verdict)
    moved: dict[str, dg.MetadataValue] = {"what_moved": dg.MetadataValue.json(found.facts())}
    if min(len(found.reference), len(found.window)) >= 2:
        title = f"the newest {verdict.window_days} day(s) beside the reference"
        picture = projection(found.reference, found.window, title=title)
        moved["picture"] = dg.MetadataValue.md(as_markdown(picture, title))
    return moved


def _what_happens(verdict: DriftVerdict) -> str:
    if verdict.acts:
        return "The alarm acts: what follows is decided by the sensors, once for this evaluation."
    if verdict.drifted:
        return (
            "Look at what moved. The stream as a whole is quiet, or the bound on new content is "
            "below the policy, so nothing is done for the whole."
        )
    return f"Nothing: the outcome is {verdict.outcome!r}. {verdict.reason}".strip()
