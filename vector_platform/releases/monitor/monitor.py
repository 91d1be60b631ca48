"""Monitoring a baking release: ask both generations for real, and go back if the live one is worse.

Belongs here: which release is monitored, measuring it, and acting on the verdict.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from vector_platform.indexes.state import GenerationState
from vector_platform.lake.evaluations import Measurement, keep
from vector_platform.quality.exact import best_per_document
from vector_platform.quality.retrieval.measures import GoldenSet, current_golden, evaluate
from vector_platform.releases.evaluation.context import ReleaseContext
from vector_platform.releases.evaluation.measuring import WARM_UP, MeasurementFailed
from vector_platform.releases.evaluation.probes import Answer, Probe, ask
from vector_platform.releases.monitor.verdict import BakeVerdict, Measured, judge_release
from vector_platform.releases.pointer.live import Release
from vector_platform.releases.requests.rollback import go_back
from vector_platform.releases.requests.service import ReleaseService

# Who goes back by itself.
ACTOR = "monitor_releases"
KIND = "post_release"


def baking_release(live: Release | None, now: datetime, bake_minutes: int) -> Release | None:
    """The live release, if it is to be monitored now.

    Not when there is nothing to go back to, and not after a rollback: two generations must not
    take turns.
    """
    if live is None or live.previous_generation is None:
        return None
    if live.known("rolled_back"):
        return None
    return live if now - live.released_at <= timedelta(minutes=bake_minutes) else None


def monitor_live(service: ReleaseService) -> BakeVerdict | None:
    """Measure the live generation beside the previous one, decide, record, and act.

    Returns:
        The decision; None when no release is in its bake period or the previous generation is gone.

    Raises:
        MeasurementFailed: Neither generation answers: an outage, which is never a verdict.
    """
    context = service.context
    release = baking_release(
        context.pointer.live(),
        context.clock(),
        context.policy.bake_minutes,
    )
    if release is None:
        return None
    present = {state.generation: state for state in context.sync.states.present()}
    previous = present.get(release.previous_generation or "")
    live = present.get(release.generation)
    if previous is None or live is None:
        return None
    before, after = measure(context, previous, live)
    if before.error_share > context.policy.monitor_max_errors:
        raise MeasurementFailed(
            f"{before.errors} of {before.probes} probes of the previous generation "
            f"{previous.generation} got no answer, so nothing is decided about {live.generation}"
        )
    found = judge_release(before, after, context.policy)
    measured = Measurement(
        kind=KIND,
        subject=f"{context.backend}/{context.index}/{live.generation}",
        model_version=live.model_version,
        metric=KIND,
        value=float(found.action == "keep"),
        sample_size=after.probes,
        details={"why": found.why, **found.numbers},
    )
    kept = keep(context.lake, measured, run_id=context.run_id, now=context.clock())
    if found.action == "return":
        go_back([service], actor=ACTOR, reason=found.why, automatic=True, evidence_ids=(kept,))
    else:
        service.store.decisions.record(
            "keep",
            f"{context.backend}/{context.index}/{live.generation}",
            actor=ACTOR,
            why=found.why,
            evidence=(kept,),
            after=live.generation,
        )
    return found


def measure(
    context: ReleaseContext, previous: GenerationState, live: GenerationState
) -> tuple[Measured, Measured]:
    """Ask both generations every probe, in turn, so that a busy machine slows both alike."""
    sides = [(state, context.probes(state.model_version)) for state in (previous, live)]
    timer = context.timer
    for state, probes in sides:
        for probe in probes[:WARM_UP]:
            ask(context.target, state.identity, probe, timer=timer)
    answers: list[list[Answer]] = [[], []]
    for place in range(min(len(probes) for _, probes in sides)):
        for mine, (state, probes) in zip(answers, sides, strict=True):
            mine.append(ask(context.target, state.identity, probes[place], timer=timer))
    known = current_golden(context.lake)
    before, after = (
        Measured(
            tuple(None if answer.error else answer.ms for answer in mine),
            _scores(known, probes, mine, context.metric) if known else {},
        )
        for mine, (_, probes) in zip(answers, sides, strict=True)
    )
    return before, after


def _scores(
    known: GoldenSet, probes: Sequence[Probe], answers: Sequence[Answer], metric: str
) -> dict[str, float]:
    """Score of every golden query among the probes; one without an answer found nothing."""
    found = {
        probe.query_id: best_per_document((hit.doc_id, hit.score) for hit in answer.hits)
        for probe, answer in zip(probes, answers, strict=True)
    }
    asked = known.only(found)
    report = evaluate([found[query] for query in asked.query_ids], asked, [metric])
    return dict(report.per_query[metric])
