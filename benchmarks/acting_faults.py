"""Faults as they show in checks: what a day's verdicts are when one thing is wrong.

Belongs here: for each kind of fault, which checks fail for sure, which may fail because of it the
more the stronger it is, and what the right answer is. Written from the table of the documentation
(operations.md), not from the code that is judged.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from random import Random
from typing import Any

MODELS = ("words.v1", "words.v2")
BACKENDS = ("milvus", "pinecone")

CANARY = "model_answers_as_registered"
CHUNKS = "chunks_keep_the_contract"
VECTORS = "vectors_keep_the_contract"
COMPLETE = "every_chunk_is_embedded"
DRIFT = "distribution_has_not_drifted"
QUALITY = "retrieval_quality_holds"
PARITY = "index_matches_lake"
REFUSED = "every_row_is_indexed"
RECALL = "index_recall_holds"

KINDS = (
    "model_changed",
    "distribution_moved",
    "recall_lost",
    "index_churned",
    "ingest_damaged",
    "quality_fell",
    "slice_moved",
    "contract_broken",
    "index_diverged",
)
STRENGTHS = (0.1, 0.3, 0.6, 1.0)

# A check that could not be run, of a hundred.
OUTAGE = 0.03


@dataclass(frozen=True)
class Shown:
    """What one check says on the day of the fault; `passed` None: it could not be run."""

    check: str
    model: str | None
    passed: bool | None = True
    backend: str | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Case:
    """One fault, what it shows, and what is right.

    Attributes:
        kind: What is wrong.
        strength: 0 to 1.
        seed: Of everything drawn.
        shown: The verdicts of the day, in the order in which they come.
        job: The job to be started; None when an owner is to be told, or nothing can be known.
        told: Whether the owner is to be told.
        model: What is affected.
        backend: What is affected; None for faults of no index.
    """

    kind: str
    strength: float
    seed: int
    shown: tuple[Shown, ...]
    job: str | None
    told: bool
    model: str
    backend: str | None


JOBS = {
    "model_changed": "reembed",
    "distribution_moved": "recalibrate_reference",
    "recall_lost": "reindex",
    "index_churned": "reindex",
    "quality_fell": "retrain",
    "index_diverged": "repair_<backend>",
}
# Checks that must have been run for the right answer to be known, beside the one that fails.
# A repair is right whatever else is the case: the lake is what the index must equal.
HEALTHY = {
    "distribution_moved": (CANARY, CHUNKS, VECTORS, COMPLETE, PARITY, RECALL, QUALITY),
    "recall_lost": (CANARY, CHUNKS, VECTORS, COMPLETE, PARITY),
    "index_churned": (CANARY, CHUNKS, VECTORS, COMPLETE, PARITY, RECALL),
    "quality_fell": (CANARY, CHUNKS, VECTORS, COMPLETE, PARITY, RECALL, DRIFT),
}
PROVES = {
    "model_changed": CANARY,
    "distribution_moved": DRIFT,
    "recall_lost": RECALL,
    "index_churned": RECALL,
    "ingest_damaged": DRIFT,
    "quality_fell": QUALITY,
    "slice_moved": DRIFT,
    "contract_broken": VECTORS,
    "index_diverged": PARITY,
}


def draw_case(kind: str, strength: float, seed: int) -> Case:
    """A fault of a kind, with the symptoms and outages that chance gives it."""
    draw = Random(f"{kind}/{strength}/{seed}")
    model, backend = draw.choice(MODELS), draw.choice(BACKENDS)
    of_index = kind in ("recall_lost", "index_churned", "index_diverged")
    shown = _healthy_day(draw, model)
    for one in _symptoms(kind, strength, draw, backend):
        about = None if one.check == CHUNKS else model
        shown[one.check, one.backend] = Shown(one.check, about, False, one.backend, one.facts)
    if kind == "index_churned":
        share = 0.3 + 0.65 * strength
        shown[RECALL, backend] = Shown(RECALL, model, True, backend, {"deleted_share": share})
    if kind == "contract_broken":
        # A blocking check that fails stops the run before the indexes are looked at.
        shown = {key: one for key, one in shown.items() if one.backend is None}
    away = {key for key in shown if draw.random() < OUTAGE}
    for key in away:
        one = shown[key]
        shown[key] = Shown(one.check, one.model, None, one.backend)
    proof = (PROVES[kind], backend if of_index else None)
    needed = {proof}
    for check in HEALTHY.get(kind, ()):
        places = (backend,) if of_index else BACKENDS
        needed |= {(check, b) for b in places} if check in (PARITY, RECALL) else {(check, None)}
    # Vectors of another fingerprint prove a changed model without its canaries.
    fingerprint = shown.get((VECTORS, None))
    proven = kind == "model_changed" and fingerprint is not None and fingerprint.passed is False
    known = proven or not (needed & away)
    owner = kind in ("slice_moved", "contract_broken", "ingest_damaged")
    order = list(shown.values())
    # Checks of an index come after those of the vectors, and in any order among themselves.
    draw.shuffle(order)
    order.sort(
        key=lambda one: (one.backend is not None or one.check == QUALITY, one.check != CHUNKS)
    )
    return Case(
        kind,
        strength,
        seed,
        tuple(order),
        JOBS.get(kind) if known else None,
        owner and known,
        model,
        backend if of_index else None,
    )


def _healthy_day(draw: Random, model: str) -> dict[tuple[str, str | None], Shown]:
    """Every check of a model passes, with numbers that are never quite the same."""
    day = {
        (check, None): Shown(check, None if check == CHUNKS else model)
        for check in (CHUNKS, CANARY, VECTORS, COMPLETE)
    }
    day[QUALITY, None] = Shown(QUALITY, model, facts={"verdict": "not worse"})
    quiet = {"global_alarm": False, "acts": False, "outcome": "stable", "slices_alarmed": []}
    day[DRIFT, None] = Shown(DRIFT, model, facts=quiet)
    for backend in BACKENDS:
        for check in (PARITY, REFUSED):
            day[check, backend] = Shown(check, model, backend=backend)
        facts = {"deleted_share": 0.25 * draw.random(), "recall": 1 - 0.05 * draw.random()}
        day[RECALL, backend] = Shown(RECALL, model, backend=backend, facts=facts)
    return day


def _symptoms(kind: str, strength: float, draw: Random, backend: str) -> list[Shown]:
    """What fails: the proof always, and what the fault drags along by chance."""

    def perhaps(*shown: Shown) -> list[Shown]:
        return [one for one in shown if draw.random() < strength]

    moved = Shown(DRIFT, "", facts=_moved(draw, acts=True))
    worse = Shown(QUALITY, "", facts={"verdict": "worse", "difference": -0.3 * strength})
    lost = [
        Shown(RECALL, "", backend=one, facts={"recall": 0.9 - 0.5 * strength, "floor": 0.9})
        for one in BACKENDS
    ]
    mine = [one for one in lost if one.backend == backend]
    if kind == "model_changed":
        differs = {"rows_breaking_fingerprint_is_registered": 1 + draw.randrange(100)}
        drags = perhaps(moved, worse, *lost, Shown(VECTORS, "", facts=differs), Shown(COMPLETE, ""))
        return [Shown(CANARY, ""), *drags]
    if kind == "distribution_moved":
        return [moved]
    if kind == "recall_lost":
        return [*mine, *perhaps(moved)]
    if kind == "quality_fell":
        return [worse, *perhaps(moved)]
    if kind == "ingest_damaged":
        debris = {"damaged": True, "markup_low": round(0.06 + 0.5 * strength, 3)}
        return [replace(moved, facts={**moved.facts, **debris}), *perhaps(worse)]
    if kind == "slice_moved":
        return [Shown(DRIFT, "", facts=_slices(draw, strength))]
    if kind == "contract_broken":
        broken = {"rows_breaking_norm_is_one": 1 + draw.randrange(100)}
        drags = perhaps(moved, worse, Shown(CHUNKS, ""), Shown(COMPLETE, ""))
        return [Shown(VECTORS, "", facts=broken), *drags]
    if kind == "index_diverged":
        return [Shown(PARITY, "", backend=backend), *perhaps(*mine)]
    return []


def _moved(draw: Random, *, acts: bool) -> dict[str, Any]:
    return {
        "global_alarm": True,
        "acts": acts,
        "outcome": "drifted",
        "novel_share_low": round(0.05 + 0.5 * draw.random(), 3),
        "window_days": draw.choice((1, 7, 28)),
        "slices_alarmed": [],
    }


def _slices(draw: Random, strength: float) -> dict[str, Any]:
    count = 1 + round(4 * strength)
    return _moved(draw, acts=False) | {
        "global_alarm": False,
        "slices_alarmed": [
            {
                "tenant": f"tenant-{number}",
                "source": "notices",
                "since": "2026-01-01",
                "novel_share_low": round(0.06 + 0.5 * strength, 3),
                "acts": True,
            }
            for number in range(count)
        ],
    }
