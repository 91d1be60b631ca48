"""Drift checks: has the distribution of new vectors moved? Never blocking.

Belongs here: `distribution_has_not_drifted` of every model version. Too few days is a pass that
says so; a lake that cannot be read raises.

The diagnosis in its metadata is made as the sensors make theirs, but of this verdict alone: what
they wait for is named in it, and another check may explain it.
"""

# Dagster reads the types of parameters as they are, so no postponed annotations here.
import shlex
from collections.abc import Iterator
from datetime import timedelta

import dagster as dg

from vector_platform.orchestration import keys
from vector_platform.orchestration.runs.checks import model_check
from vector_platform.quality.drift.explanation import explain
from vector_platform.quality.drift.policy import DriftPolicy
from vector_platform.quality.drift.slice_alarms import SliceAlarm
from vector_platform.quality.drift.verdict import DriftVerdict, judge_drift
from vector_platform.quality.drift.window_test import Looks
from vector_platform.quality.pictures.plots import as_markdown, projection, score_timeline
from vector_platform.quality.sketches.references import EPOCH
from vector_platform.remediation import checks
from vector_platform.remediation.diagnosis import diagnose
from vector_platform.remediation.faults import Verdict
from vector_platform.remediation.next_steps import with_owner
from vector_platform.remediation.reactions import QUARANTINE, RECALIBRATE
from vector_platform.settings import Quality, Settings
from vector_platform.wiring import Platform

# Days of the time line: a quarter of a year reads well.
DAYS_SHOWN = 90
_QUIET = "the newest days hold what the reference days lead one to expect"
# Slices whose next step is spelled out; `slices_alarmed` holds all of them.
SLICES_SPELLED = 5


def build_drift_checks(settings: Settings) -> list[dg.AssetChecksDefinition]:
    """The drift check of `lake/embeddings`."""

    @model_check(settings, keys.EMBEDDINGS, checks.DRIFT)
    def check(platform: Platform, model_version: str, run_id: str) -> dg.AssetCheckResult:
        verdict = judge_drift(platform.lake, model_version, policy_of(platform.settings.quality))
        facts = verdict.facts()
        return dg.AssetCheckResult(
            passed=not verdict.drifted,
            metadata={
                **{name: value for name, value in facts.items() if name != "slices_alarmed"},
                "slices_alarmed": dg.MetadataValue.json(facts["slices_alarmed"]),
                **_timelines(verdict, model_version),
                **(_what_moved(platform, verdict) if verdict.drifted else {}),
                "diagnosis": _diagnosis(verdict, model_version, platform.settings),
                "what_happens": " ".join(_what_happens(verdict, platform.settings)),
            },
        )

    return [check]


def policy_of(quality: Quality) -> DriftPolicy:
    """The policy that the settings describe."""
    return DriftPolicy(
        false_alarms_a_year=quality.drift_false_alarms_a_year,
        false_discovery_rate=quality.drift_false_discovery_rate,
        least_novel_share=quality.drift_least_novel_share,
        min_rows=quality.drift_min_rows,
    )


def _timelines(verdict: DriftVerdict, model_version: str) -> dict[str, dg.MetadataValue]:
    """Scores day by day, of the whole and of the slice that the alarm is about."""
    shown = {}
    if verdict.looks is not None and len(verdict.looks.dates):
        title = f"{model_version}: {verdict.outcome}"
        shown["timeline"] = _timeline(verdict.looks, verdict.threshold, title)
    if meant := verdict.slice_meant:
        shown["slice_timeline"] = _timeline(meant.looks, meant.threshold, str(meant))
    return shown


def _timeline(looks: Looks, threshold: float, title: str) -> dg.MetadataValue:
    picture = score_timeline(
        [EPOCH + timedelta(days=int(day)) for day in looks.dates[-DAYS_SHOWN:]],
        {f"{width} days": looks.scores[-DAYS_SHOWN:, at] for at, width in enumerate(looks.windows)},
        threshold=threshold,
        title=title,
    )
    return dg.MetadataValue.md(as_markdown(picture, title))


def _what_moved(platform: Platform, verdict: DriftVerdict) -> dict[str, dg.MetadataValue]:
    found = explain(platform.lake, verdict)
    moved: dict[str, dg.MetadataValue] = {"what_moved": dg.MetadataValue.json(found.facts())}
    if min(len(found.reference), len(found.window)) >= 2:
        title = f"{found.of}: the newest {found.window_days} day(s) beside the reference"
        picture = projection(found.reference, found.window, title=title)
        moved["picture"] = dg.MetadataValue.md(as_markdown(picture, title))
    return moved


def _diagnosis(verdict: DriftVerdict, model_version: str, settings: Settings) -> str:
    alone = Verdict(
        checks.DRIFT,
        keys.EMBEDDINGS.to_user_string(),
        model_version,
        not verdict.drifted,
        facts=verdict.facts(),
    )
    found = diagnose(model_version, [alone], backends=settings.indexes.backends)
    named = (with_owner(one, settings) for one in found)
    told = "; ".join(f"{one.kind} of {one.scope}: {one.why}" for one in named)
    return told or f"{verdict.outcome.capitalize()}: {verdict.reason or _QUIET}."


def _what_happens(verdict: DriftVerdict, settings: Settings) -> Iterator[str]:
    bar = f"{verdict.policy.least_novel_share:.0%}"
    if not verdict.drifted:
        yield "nothing. Days are measured as they come."
    elif verdict.damaged:
        yield (
            "The owner of the data is told: this is debris, which is mended at the source. It is "
            "not accepted as the new reference."
        )
    elif verdict.acts and verdict.days_missing:
        yield (
            f"The stream moved on {verdict.moved_since}. {verdict.days_missing} more day(s) of it "
            "must come before they can be the reference; until then this stays an alarm, and "
            "nothing is started for it."
        )
    elif verdict.acts:
        yield "If model, index and quality are known to hold since, the newest days are accepted:"
        yield (
            f"the sensor {RECALIBRATE.name} does so."
            if settings.acting.accept_reference.by == "auto"
            else f"by a person, with the job {RECALIBRATE.job}."
        )
    else:
        if verdict.global_alarm:
            yield (
                f"For the whole, nothing: at least {verdict.novel_share_low:.1%} of it is new, "
                "which "
                f"does not exceed {bar}."
            )
        for one in verdict.slices_alarmed[:SLICES_SPELLED]:
            yield _after_slice(one, bar, settings)
        more = len(verdict.slices_alarmed) - SLICES_SPELLED
        if more > 0:
            yield f"And so for {more} more slices: see slices_alarmed."


def _after_slice(one: SliceAlarm, bar: str, settings: Settings) -> str:
    new = f"For {one}, at least {one.novel_share_low:.1%} of {one.window_rows} rows is new"
    if not one.acts:
        return (
            f"{new}, which does not exceed {bar}: it is observed, nothing is started and nobody is "
            "told. The next evaluation measures again."
        )
    owner = settings.owner_of(one.source)
    told = f"{new}: unless another check explains it, its owner ({owner}) is told, and"
    if settings.acting.quarantine_slice.by == "auto":
        return f"{told} the sensor {QUARANTINE.name} keeps it from readers."
    command = [
        *("vector-platform", "quarantine", "add", "--source", one.source),
        *("--tenant", one.tenant, "--since", one.since.isoformat(), "--reason", "..."),
    ]
    return f"{told} a person decides whether readers see it: {shlex.join(command)}"
