"""Measuring a generation for its gates: verify, ask, compare with what is live.

Belongs here: collecting `Evidence` by real reads and real searches.
"""

from __future__ import annotations

from datetime import datetime

from vector_platform.errors import TransientError
from vector_platform.indexes.contract import IndexUnavailable
from vector_platform.indexes.registry import stored_of
from vector_platform.indexes.state import GenerationState
from vector_platform.lake.evaluations import judged_alike, newest_evaluations
from vector_platform.lake.lake import Lake
from vector_platform.lake.snapshots import Snapshot
from vector_platform.quality.recall.index_recall import IndexRecall, examine, judge
from vector_platform.quality.retrieval.golden_questions import GoldenQuestions
from vector_platform.releases.evaluation.changed_answers import changed_answers
from vector_platform.releases.evaluation.context import ReleaseContext
from vector_platform.releases.evaluation.evidence import Change, Evidence, QualityScores
from vector_platform.releases.evaluation.probes import Answer, ask

# Latencies to have of each side; fewer probes are asked again and again.
LATENCIES = 60
# First searches of a generation load it; they say nothing of the ones that follow.
WARM_UP = 5


class MeasurementFailed(TransientError):
    """A generation could not be asked: an outage, which is never a verdict."""


def change_of(state: GenerationState, live: GenerationState | None) -> Change:
    """How a generation differs from the live one. Its spec holds all that shapes what is stored."""
    if live is None:
        return "first"
    if not _same_model(state, live):
        return "model"
    stored = [stored_of(one.backend, one.spec) for one in (state, live)]
    return "rebuild" if stored[0] == stored[1] else "index_spec"


def _same_model(state: GenerationState, live: GenerationState) -> bool:
    """Whether two generations hold vectors of one model version.

    The name counts beside the fingerprint: a model that was swapped where its fingerprint does
    not see it gets another name, and is another model.
    """
    named = (state.model_version, state.fingerprint)
    return named == (live.model_version, live.fingerprint)


def chunks_of(snapshot: Snapshot | None) -> str:
    """The part of a snapshot that decides whether an index is current, in words."""
    return f"chunks@{snapshot.chunks} {snapshot.chunks_id[:8]}" if snapshot else "no snapshot"


def collect(
    context: ReleaseContext, state: GenerationState, live: GenerationState | None, *, now: datetime
) -> Evidence:
    """Measure a generation that is proven equal to its snapshot, beside the live one.

    Raises:
        MeasurementFailed: The backend did not answer every probe.
    """
    target, timer = context.target, context.timer
    proof = context.sync.verify(state)
    asked = context.probes(state.model_version)
    rounds = -(-LATENCIES // max(1, len(asked)))
    known_as = context.probes(live.model_version) if live else []
    for mine in asked[:WARM_UP]:
        ask(target, state.identity, mine, timer=timer)
    before: list[Answer] = []
    answers: list[Answer] = []
    for _ in range(rounds):
        # In turn, query by query, so that a busy machine slows both alike.
        for place, mine in enumerate(asked):
            if live:
                before.append(_answered(ask(target, live.identity, known_as[place], timer=timer)))
            answers.append(_answered(ask(target, state.identity, mine, timer=timer)))
    index_recall = _index_recall(context, state, proof.snapshot)
    same = live is not None and _same_model(state, live)
    return Evidence(
        backend=target.backend,
        index=context.index,
        generation=state.generation,
        model_version=state.model_version,
        change=change_of(state, live),
        champion=live.generation if live else None,
        measured_at=now.isoformat(timespec="seconds"),
        snapshot=chunks_of(proof.snapshot),
        newest_snapshot=chunks_of(context.lake.snapshot()),
        differences="" if proof.clean else proof.describe(),
        rows=proof.plan.actual,
        index_recall=index_recall,
        quality=None
        if same or live is None
        else comparable_scores(context.lake, context.metric, live, state),
        same_vectors=same,
        champion_ms=tuple(round(answer.ms, 3) for answer in before),
        challenger_ms=tuple(round(answer.ms, 3) for answer in answers) if live else (),
        changed=()
        if same or live is None
        else changed_answers(asked, before[: len(asked)], answers[: len(asked)]),
    )


def _index_recall(
    context: ReleaseContext, state: GenerationState, snapshot: Snapshot
) -> IndexRecall:
    try:
        answers = examine(
            context.lake,
            context.target,
            state.identity,
            snapshot,
            context.recall_queries(state, snapshot),
            timer=context.timer,
        )
    except IndexUnavailable as error:
        raise MeasurementFailed(f"a query got no answer: {error}") from error
    return judge(answers, floor=context.recall_floor)


def _answered(answer: Answer) -> Answer:
    if answer.error:
        raise MeasurementFailed(f"a probe got no answer: {answer.error}")
    return answer


def comparable_scores(
    lake: Lake, metric: str, live: GenerationState, state: GenerationState
) -> QualityScores | None:
    """Scores of both models on the snapshot to be released, if there are.

    Only with the same queries, judged alike, on both sides: a gate that left some out could pass
    by what it did not look at. The older of the two evaluations is due anyway. Two kinds of
    queries say nothing and are left out, and counted: those that no document in the snapshot
    answers, where all models score zero, and those that one of the models was trained on.
    """
    newest = newest_evaluations(lake, metric)
    champion, challenger = newest.get(live.model_version), newest.get(state.model_version)
    if champion is None or challenger is None or state.snapshot is None:
        return None
    if {champion.chunks_version, challenger.chunks_version} != {state.snapshot.chunks}:
        return None
    alike = judged_alike(champion, challenger)
    if not alike == set(champion.scores) == set(challenger.scores):
        return None
    questions = GoldenQuestions(lake, state.snapshot.chunks)
    dead = questions.dead & alike
    seen = (champion.seen | challenger.seen) & alike - dead
    # A question that one model has seen in other words is no test of it either.
    groups = {query: questions.groups.get(query, query) for query in alike - dead}
    known = {groups[query] for query in seen}
    seen |= {query for query, group in groups.items() if group in known}
    asked = sorted(alike - dead - seen)
    return QualityScores(
        metric,
        {query: champion.scores[query] for query in asked},
        {query: challenger.scores[query] for query in asked},
        {query: questions.slices.get(query, ()) for query in asked},
        (champion.evaluation_id, challenger.evaluation_id),
        groups={query: groups[query] for query in asked},
        dead=len(dead),
        seen=len(seen),
        identical=all(champion.answers[query] == challenger.answers[query] for query in asked),
    )
