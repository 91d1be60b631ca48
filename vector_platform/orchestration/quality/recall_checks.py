"""Recall checks: an index finds what is there. Never blocking.

Belongs here: `index_recall_holds` of every backend, and telling readers when it does not hold: the
generation is not proven any more, searches say `degraded`, and the next sync compares all of it. A
backend that does not answer is an error, never a failed check.
"""

# Dagster reads the types of parameters as they are, so no postponed annotations here.
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

import dagster as dg

from vector_platform.lake.evaluations import evaluation_history
from vector_platform.orchestration import keys
from vector_platform.orchestration.runs.checks import model_check
from vector_platform.orchestration.showing import picture, shown_table
from vector_platform.quality.pictures.check_pictures import recall_bars, recall_curves, time_line
from vector_platform.quality.pictures.markdown import quote
from vector_platform.quality.recall.details import (
    LostNeighbour,
    lost_neighbours,
    reading,
    recall_curve,
)
from vector_platform.quality.recall.measured import (
    KIND,
    METRIC,
    NothingProven,
    RecallVerdict,
    measure_generation,
)
from vector_platform.remediation import checks
from vector_platform.remediation.next_steps import what_happens
from vector_platform.settings import BackendName, Settings
from vector_platform.wiring import Platform

# Generations named in the time line: the newest ones.
MAX_MARKS = 8


def build_recall_checks(settings: Settings) -> list[dg.AssetChecksDefinition]:
    """One recall check a backend."""
    return [_recall_check(settings, backend) for backend in settings.indexes.backends]


def _recall_check(settings: Settings, backend: BackendName) -> dg.AssetChecksDefinition:
    @model_check(settings, keys.index(backend, settings), checks.RECALL)
    def check(platform: Platform, model_version: str, run_id: str) -> dg.AssetCheckResult:
        verdict = measure_recall(platform, backend, model_version, run_id=run_id)
        found, share = verdict.recall, verdict.deleted_share
        if not found.holds:
            sync = platform.index_sync(backend, run_id=run_id)
            sync.doubt(verdict.state, f"it does not find what is there: {reading(found)}")
        facts = found.facts() | ({} if share is None else {"deleted_share": round(share, 4)})
        return dg.AssetCheckResult(
            passed=found.holds,
            metadata={
                **facts,
                "evaluation_id": verdict.evaluation_id,
                "generation": verdict.state.generation,
                "snapshot": str(verdict.state.snapshot),
                "slices": _slices(verdict),
                **_pictures(platform, verdict),
                **({} if found.holds else _what_is_lost(platform, verdict)),
                "diagnosis": reading(found),
                "what_happens": _what_happens(verdict, facts, platform.settings),
            },
        )

    return check


def measure_recall(
    platform: Platform, backend: BackendName, model_version: str, *, run_id: str
) -> RecallVerdict:
    """Measure what readers see of a model version, and record the result.

    That is the live generation; of a model version that is not live, its newest. What waits for
    its release is measured by the gates, and must not hide what readers miss until then.

    Raises:
        NothingProven: No generation has been proven yet.
        IndexUnavailable: The backend does not answer.
    """
    following = platform.live_pointer(backend).following(model_version)
    if not following:
        raise NothingProven(f"{backend} has no generation of {model_version} to measure")
    return measure_generation(
        platform.lake,
        platform.target(backend),
        following[0],
        queries=platform.recall_queries,
        floor=platform.settings.quality.recall_floor,
        timer=platform.timer,
        run_id=run_id,
    )


def _slices(verdict: RecallVerdict) -> dg.MarkdownMetadataValue:
    return shown_table(
        ("slice", "recall", "low", "high", "queries", ""),
        (
            (
                row["slice"],
                *(f"{row[name]:.4f}" for name in ("recall", "low", "high")),
                row["queries"],
                "below the floor" if row["below"] else "",
            )
            for row in verdict.recall.rows()
        ),
    )


def _pictures(platform: Platform, verdict: RecallVerdict) -> dict[str, Any]:
    """Recall by slice, and over time once there is a time to look back on."""
    found, state = verdict.recall, verdict.state
    if not found.slices:
        return {}
    title = f"recall of {state.backend} {state.generation}, {state.model_version}, by slice"
    bars = recall_bars(found.slices, floor=found.floor, k=verdict.answers.k, title=title)
    shown: dict[str, Any] = {"picture": picture(bars, title)}
    past = evaluation_history(
        platform.lake, KIND, state.model_version, subject=f"{state.backend}/{state.index}/"
    )
    if len(past) > 1:
        # The newest generation first, each at its first evaluation.
        title = f"recall of {state.backend} {state.index}, {state.model_version}, over time"
        generations: dict[str, datetime] = {}
        for each in reversed(past):
            generations[each.subject.rpartition("/")[2]] = each.at
        line = time_line(
            [each.at for each in past],
            {
                "all stored rows": [each.value for each in past],
                "worst slice": [each.details["worst_recall"] for each in past],
            },
            threshold=found.floor,
            threshold_name=f"floor\n{found.floor:g}",
            measured=METRIC,
            title=title,
            marks={at: name for name, at in list(generations.items())[:MAX_MARKS]},
        )
        shown["timeline"] = picture(line, title)
    return shown


def _what_is_lost(platform: Platform, verdict: RecallVerdict) -> dict[str, Any]:
    """The curve of the worst slice, and neighbours that the index does not return in it."""
    found, state = verdict.recall, verdict.state
    worst = found.slices[0].name
    title = f"recall of {state.backend} {state.generation} by number of neighbours"
    curves = {
        "all stored rows": recall_curve(verdict.answers),
        worst: recall_curve(verdict.answers, worst),
    }
    assert state.snapshot is not None
    lost = lost_neighbours(
        platform.lake,
        state.model_version,
        state.snapshot,
        verdict.answers,
        worst,
        built_at=state.created_at,
    )
    return {
        "curve": picture(recall_curves(curves, floor=found.floor, title=title), title),
        "lost_neighbours": shown_table(
            ("query", "its recall", "lost neighbour", "rank", "cosine", "tenant", "vector of", ""),
            _lost_rows(lost),
        ),
    }


def _lost_rows(lost: list[LostNeighbour]) -> Iterator[tuple[object, ...]]:
    """A row a neighbour; the query stands once, beside the first that it has lost."""
    query = None
    for each in lost:
        yield (
            quote(each.query) if each.query != query else "",
            f"{each.recall:.2f}",
            f"{quote(each.id)}: {quote(each.text)}",
            each.rank,
            f"{each.score:.3f}",
            quote(each.tenant),
            f"{each.embedded_at:%Y-%m-%d %H:%M}",
            each.age,
        )
        query = each.query


def _what_happens(verdict: RecallVerdict, facts: Mapping[str, Any], settings: Settings) -> str:
    found, state = verdict.recall, verdict.state
    follows = what_happens(
        checks.RECALL,
        settings,
        passed=found.holds,
        facts=facts,
        model_version=state.model_version,
        backend=state.backend,
    )
    if not follows:
        return "Nothing: no slice is below the floor."
    return (
        f"{follows} A new generation is built from the lake, and no text is embedded again. By "
        f"hand: vector-platform index rebuild --backend {state.backend} --model "
        f"{state.model_version} --reason WHY"
    )
