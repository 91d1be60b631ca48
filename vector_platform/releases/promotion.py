"""Promotion: choosing a model version by its evaluations, and releasing its newest generation.

Belongs here: the choice. Does not belong here: measuring (`quality`) or the move of the live
pointer (`flip.py`).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from vector_platform.errors import TerminalError
from vector_platform.indexes.base import VectorIndex
from vector_platform.indexes.sync import IndexSync
from vector_platform.lake.conditions import Condition
from vector_platform.lake.lake import Lake
from vector_platform.quality.retrieval import compare_scores
from vector_platform.releases.flip import release_generation
from vector_platform.releases.pointer import LivePointer


class NothingToPromote(TerminalError):
    """No model version can be chosen: none is evaluated, or the named one has no generation."""


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
    """An evaluation of a model version: its mean and its score on every query."""

    model_version: str
    evaluation_id: str
    value: float
    scores: dict[str, float]
    evaluated_at: datetime


def evaluations_of(lake: Lake, metric: str) -> list[Evaluation]:
    """Every retrieval evaluation, oldest first."""
    wanted: list[Condition] = [("kind", "==", "retrieval"), ("metric", "==", metric)]
    rows = sorted(
        lake.evaluations.read(where=wanted).to_pylist(), key=lambda row: row["evaluated_at"]
    )
    return [
        Evaluation(
            row["model_version"],
            row["evaluation_id"],
            row["value"],
            json.loads(row["details"])["scores"],
            row["evaluated_at"],
        )
        for row in rows
    ]


def newest_evaluations(lake: Lake, metric: str) -> dict[str, Evaluation]:
    """The newest retrieval evaluation of each model version, by model version."""
    return {found.model_version: found for found in evaluations_of(lake, metric)}


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
