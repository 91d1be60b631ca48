"""Retrieval checks: a model finds what people want. Never blocking.

Belongs here: `retrieval_quality_holds`. Nothing evaluated is an error, never a failed check.
"""

# Dagster reads the types of parameters as they are, so no postponed annotations here.
from collections.abc import Mapping
from typing import Any

import dagster as dg
import numpy as np

from vector_platform.lake.evaluations import evaluations_of
from vector_platform.orchestration import keys
from vector_platform.orchestration.runs.checks import model_check
from vector_platform.orchestration.showing import picture, shown_table
from vector_platform.quality.pictures.check_pictures import paired_differences, time_line
from vector_platform.quality.pictures.markdown import quote
from vector_platform.releases.evaluation.champion import QualityVerdict, compare_with_champion
from vector_platform.releases.evaluation.fallen_queries import QueryDifferences, query_differences
from vector_platform.remediation import checks
from vector_platform.remediation.next_steps import what_happens
from vector_platform.settings import Settings
from vector_platform.wiring import Platform

# Evaluations in the time line, and tenants in the table: the newest, the worst.
MAX_EVALUATIONS = 60
MAX_TENANTS = 12


def build_retrieval_checks(settings: Settings) -> list[dg.AssetChecksDefinition]:
    """The quality check, where golden queries are configured."""
    return [_quality_check(settings)] if settings.golden_queries else []


def _quality_check(settings: Settings) -> dg.AssetChecksDefinition:
    @model_check(settings, keys.RETRIEVAL, checks.QUALITY)
    def check(platform: Platform, model_version: str, run_id: str) -> dg.AssetCheckResult:
        if why := platform.queries_problem(model_version):
            return dg.AssetCheckResult(
                passed=True,
                metadata={
                    "diagnosis": f"Not measured: {why}.",
                    "what_happens": "Nothing. The gate of quality stays undecided beside a model "
                    "that is searched by text.",
                },
            )
        metric = platform.settings.quality.evaluation_metric
        verdict = compare_with_champion(
            platform.lake,
            [platform.live_pointer(name) for name in platform.settings.indexes.backends],
            model_version,
            metric=metric,
        )
        differences = query_differences(platform.lake, verdict)
        facts = verdict.facts()
        return dg.AssetCheckResult(
            passed=verdict.holds,
            metadata={
                **facts,
                **(_pairs(verdict, differences, metric) if differences else {}),
                **_timeline(platform, verdict, metric),
                "diagnosis": _diagnosis(verdict, differences),
                "what_happens": _what_happens(verdict, facts, platform.settings),
            },
        )

    return check


def _pairs(verdict: QualityVerdict, differences: QueryDifferences, metric: str) -> dict[str, Any]:
    """The difference of every query, of every tenant, and the queries that lost most."""
    assert verdict.comparison is not None and verdict.champion is not None
    title = (
        f"{verdict.evaluation.model_version} now against the record of "
        f"{verdict.champion.model_version}: {verdict.comparison.verdict}"
    )
    bars = paired_differences(
        np.array(list(differences.differences.values())),
        verdict.comparison.difference,
        margin=verdict.comparison.margin,
        metric=metric,
        title=title,
    )
    shown: dict[str, Any] = {"picture": picture(bars, title)}
    if differences.tenants:
        shown["slices"] = shown_table(
            ("tenant", "difference", "low", "high", "queries"),
            (
                (quote(name), *(f"{at:+.4f}" for at in (of.mean, of.low, of.high)), of.count)
                for name, of in list(differences.tenants.items())[:MAX_TENANTS]
            ),
        )
    if differences.fallen:
        shown["fallen_queries"] = shown_table(
            ("query", "tenant", "record", "now", "asks for", "of it gone"),
            (
                (
                    quote(each.text),
                    quote(each.tenant),
                    f"{each.before:.3f}",
                    f"{each.now:.3f}",
                    ", ".join(map(quote, each.documents)),
                    f"{each.gone} of {each.wanted}",
                )
                for each in differences.fallen
            ),
        )
    return shown


def _timeline(platform: Platform, verdict: QualityVerdict, metric: str) -> dict[str, Any]:
    """The mean over time, beside the champion's record less the margin."""
    mine = verdict.evaluation.model_version
    past = [each for each in evaluations_of(platform.lake, metric) if each.model_version == mine]
    if verdict.champion is None or len(past) < 2:
        return {}
    past = past[-MAX_EVALUATIONS:]
    title = f"{metric} of {mine} over time, and the champion's record; of all queries at the time"
    line = time_line(
        [each.evaluated_at for each in past],
        {mine: [each.value for each in past]},
        threshold=verdict.champion.value,
        threshold_name=f"record\n{verdict.champion.value:.3f}",
        measured=metric,
        title=title,
    )
    return {"timeline": picture(line, title)}


def _diagnosis(verdict: QualityVerdict, differences: QueryDifferences | None) -> str:
    if verdict.comparison is None or differences is None:
        return f"Nothing to compare: {verdict.why}."
    found = verdict.comparison
    if found.verdict == "undecided":
        return (
            f"{found.difference.count} queries, judged as in the champion's record, are too few "
            f"to decide for a margin of {found.margin}."
        )
    if verdict.holds:
        return "The model is not worse than the champion was at its release."
    lost = sum(difference < 0 for difference in differences.differences.values())
    said = (
        f"{lost} of {found.difference.count} queries find less than in the record, by "
        f"{-found.difference.mean:.3f} over all."
    )
    if differences.gone:
        said += (
            f" Of the {len(differences.fallen)} that lost most, {differences.gone} ask for "
            "documents that the lake no longer holds: no model finds those."
        )
    return said


def _what_happens(verdict: QualityVerdict, facts: Mapping[str, Any], settings: Settings) -> str:
    mine, found = verdict.evaluation.model_version, verdict.comparison
    follows = what_happens(
        checks.QUALITY, settings, passed=verdict.holds, facts=facts, model_version=mine
    )
    if follows:
        return f"{follows} If the index is faithful, a rebuild does not help."
    if not verdict.holds:
        return f"Nothing: {mine} is not live, and its gate keeps it from readers."
    if found and found.verdict == "undecided":
        return "Nothing. Add golden queries: they count from the next release of another model on."
    return "Nothing."
