"""Promotion and rollback: catching a generation up, moving the pointer, collecting the rest.

Belongs here: the steps around a move of the live pointer, and the choice of the best model by
its evaluations. Does not belong here: measuring (`quality`) or the pointer itself (`pointer.py`).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil

from vector_platform.errors import TerminalError
from vector_platform.indexes.base import VectorIndex
from vector_platform.indexes.plan import DeleteGuard
from vector_platform.indexes.state import GenerationState
from vector_platform.indexes.sync import IndexSync
from vector_platform.lake.conditions import Condition
from vector_platform.lake.lake import Lake
from vector_platform.quality.retrieval import compare_scores
from vector_platform.releases.pointer import LivePointer


class NothingToPromote(TerminalError):
    """No model version can be chosen: none is evaluated, or the named one has no generation."""


class ReleaseShrinks(TerminalError):
    """A release would take away more rows from readers than the guard lets through."""


class NothingToRollBackTo(TerminalError):
    """The live pointer has no earlier generation that still exists."""


@dataclass(frozen=True)
class Outcome:
    """What a promotion did.

    Attributes:
        backend: Whose pointer.
        model_version: Model that is live afterwards.
        generation: Generation that is live afterwards.
        moved: Whether the pointer moved.
        why: What decided it.
    """

    backend: str
    model_version: str
    generation: str
    moved: bool
    why: str

    def describe(self) -> str:
        """One line for people."""
        verb = "is now live" if self.moved else "stays live"
        return f"{self.model_version} {self.generation} {verb}, {self.why}"


@dataclass(frozen=True)
class Evaluation:
    """The newest evaluation of a model version: its mean and its score on every query."""

    model_version: str
    evaluation_id: str
    value: float
    scores: dict[str, float]


def newest_evaluations(lake: Lake, metric: str) -> dict[str, Evaluation]:
    """The newest retrieval evaluation of each model version, by model version."""
    wanted: list[Condition] = [("kind", "==", "retrieval"), ("metric", "==", metric)]
    rows = sorted(
        lake.evaluations.read(where=wanted).to_pylist(), key=lambda row: row["evaluated_at"]
    )
    return {
        row["model_version"]: Evaluation(
            row["model_version"],
            row["evaluation_id"],
            row["value"],
            json.loads(row["details"])["scores"],
        )
        for row in rows
    }


def promote_model(
    lake: Lake,
    pointer: LivePointer,
    target: VectorIndex,
    sync: IndexSync,
    *,
    model_version: str | None,
    candidates: Sequence[str],
    metric: str,
    actor: str,
    reason: str,
    run_id: str,
    allow_shrink: bool = False,
) -> Outcome:
    """Make a model version live; without a name, the best one if it beats the live one.

    Raises:
        NothingToPromote: No evaluation to choose by, or no generation to promote.
        ReleaseShrinks: Readers would lose too many rows.
    """
    live = pointer.live()
    evaluations = {
        name: found
        for name, found in newest_evaluations(lake, metric).items()
        if name in candidates
    }
    chosen, why = _choose(evaluations, live.model_version if live else None, model_version, metric)
    newest = sync.states.newest(chosen)
    if newest is None:
        raise NothingToPromote(
            f"{target.backend} has no generation of {chosen}: materialise its index first"
        )
    if live and live.model_version == chosen and live.generation == newest.generation:
        return Outcome(target.backend, chosen, live.generation, moved=False, why=why)
    release_generation(
        pointer,
        target,
        sync,
        newest,
        actor=actor,
        reason=reason,
        evidence={
            "decision": why,
            "evaluations": {name: found.evaluation_id for name, found in evaluations.items()},
            metric: {name: round(found.value, 4) for name, found in evaluations.items()},
        },
        run_id=run_id,
        allow_shrink=allow_shrink,
    )
    return Outcome(target.backend, chosen, newest.generation, moved=True, why=why)


def release_generation(
    pointer: LivePointer,
    target: VectorIndex,
    sync: IndexSync,
    state: GenerationState,
    *,
    actor: str,
    reason: str,
    evidence: dict[str, object],
    run_id: str,
    allow_shrink: bool = False,
) -> None:
    """Catch a generation up, move the pointer, mirror it, and collect what nobody needs.

    The index's lock is held throughout. What readers have stopped seeing was gone from the lake
    before, so a generation that is caught up under the lock does not hold it, and nothing more
    can go until the pointer has moved: no release ever brings back what was erased.

    The guard over deletes knows one generation. The guard here compares what goes live with what
    readers see: a source that returned nothing must not empty it.

    Raises:
        ReleaseShrinks: The generation would hold too few rows; no pointer has moved.
        SyncInProgress: Somebody is writing the index; no pointer has moved.
    """
    with sync.exclusively():
        live, floor = pointer.live(), 0
        if live is not None and not allow_shrink:
            floor = ceil(pointer.live_generation().rows * (1 - sync.max_delete_share))
        spare = max(0, state.rows - floor) if live is not None or allow_shrink else 0
        state = _caught_up(sync, state, floor=floor, spare=spare)
        if state.rows < floor:
            raise ReleaseShrinks(
                f"{target.backend} {state.generation} holds {state.rows} rows where readers must "
                f"keep {floor}; the guard lets {sync.max_delete_share:.0%} go. No pointer has "
                "moved. If it is right: --allow-shrink"
            )
        pointer.promote(state, actor=actor, reason=reason, evidence=evidence, run_id=run_id)
        pointer.mirror(target)
        collect(pointer, sync)


def collect(pointer: LivePointer, sync: IndexSync) -> list[GenerationState]:
    """Drop the generations that nobody needs and the policy does not keep; returns them."""
    doomed = pointer.collectable()
    for state in doomed:
        sync.drop(state)
    return doomed


def roll_back(
    pointer: LivePointer,
    target: VectorIndex,
    sync: IndexSync,
    *,
    actor: str,
    reason: str,
    run_id: str,
    allow_shrink: bool = False,
) -> Outcome:
    """Make the previous generation live again, after bringing it to the lake's newest snapshot.

    Raises:
        NothingToRollBackTo: There is no previous generation, or it has been collected.
        ReleaseShrinks: Readers would lose too many rows.
    """
    with sync.exclusively():
        live = pointer.live()
        present = {state.generation: state for state in sync.states.present()}
        previous = present.get(live.previous_generation or "") if live else None
        if live is None or previous is None:
            raise NothingToRollBackTo(f"{target.backend} has no previous generation to go back to")
        release_generation(
            pointer,
            target,
            sync,
            previous,
            actor=actor,
            reason=reason,
            evidence={"rolled_back": live.generation},
            run_id=run_id,
            allow_shrink=allow_shrink,
        )
    return Outcome(
        target.backend,
        previous.model_version,
        previous.generation,
        moved=True,
        why=f"rolled back: {reason}",
    )


def _caught_up(
    sync: IndexSync, state: GenerationState, *, floor: int, spare: int
) -> GenerationState:
    """Bring a generation that readers do not see yet to the newest snapshot.

    It may be far behind, so all deletes are let through that leave the rows readers must keep.
    """
    try:
        report = sync.sync(state.model_version, generation=state.generation, allow_delete=spare)
    except DeleteGuard as error:
        if not floor:
            raise
        raise ReleaseShrinks(
            f"{state.backend} {state.generation} is behind the lake, and would lose more than the "
            f"{spare} of its rows that readers can spare. Nothing has been deleted and no pointer "
            "has moved. If it is right: --allow-shrink"
        ) from error
    return report.generation


def _choose(
    evaluations: dict[str, Evaluation], live: str | None, asked: str | None, metric: str
) -> tuple[str, str]:
    """The model version to make live, and why."""
    scores = ", ".join(f"{name} {found.value:.3f}" for name, found in evaluations.items())
    if asked:
        return asked, f"chosen by name ({metric}: {scores or 'not evaluated'})"
    if not evaluations:
        raise NothingToPromote(
            "no model version is evaluated yet: materialise quality/retrieval, or name a model"
        )
    best = max(evaluations.values(), key=lambda found: (found.value, found.model_version))
    if live is None or live not in evaluations or best.model_version == live:
        return best.model_version, f"best {metric}: {scores}"
    found = compare_scores(evaluations[live].scores, best.scores, metric=metric)
    why = (
        f"{metric}: {scores}; {best.model_version} is {found.verdict} "
        f"({found.difference.mean:+.3f}, 95 % {found.difference.low:+.3f} to "
        f"{found.difference.high:+.3f}, {found.difference.count} queries)"
    )
    return (best.model_version if found.verdict == "better" else live), why
