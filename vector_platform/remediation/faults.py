"""Faults: the table of what can be wrong, what fits it, and what must never be done for it.

Belongs here: the kinds, the actions, and the plain values that verdicts and diagnoses are.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal

CANARY = "model_answers_as_registered"
CHUNKS = "chunks_keep_the_contract"
VECTORS = "vectors_keep_the_contract"
COMPLETE = "every_chunk_is_embedded"
CONTRACT = (CHUNKS, VECTORS, COMPLETE)
PARITY = "index_matches_lake"
REFUSED = "every_row_is_indexed"
RECALL = "index_recall_holds"
QUALITY = "retrieval_quality_holds"
DRIFT = "distribution_has_not_drifted"

# Time of a verdict that does not say when it came.
_LONG_AGO = datetime.min.replace(tzinfo=UTC)

Kind = Literal[
    "model_changed",
    "contract_broken",
    "index_diverged",
    "rows_refused",
    "recall_lost",
    "index_churned",
    "ingest_damaged",
    "quality_fell",
    "distribution_moved",
    "slice_moved",
]
Action = Literal[
    "propose_version",
    "quarantine_and_replay",
    "repair",
    "mend_source",
    "rebuild",
    "retrain",
    "accept_reference",
    "quarantine_slice",
    "await_evidence",
    "watch",
]

ACTIONS: Mapping[Kind, Action] = {
    "model_changed": "propose_version",
    "contract_broken": "quarantine_and_replay",
    "index_diverged": "repair",
    "rows_refused": "mend_source",
    "recall_lost": "rebuild",
    "index_churned": "rebuild",
    "ingest_damaged": "quarantine_and_replay",
    "quality_fell": "retrain",
    "distribution_moved": "accept_reference",
    "slice_moved": "quarantine_slice",
}
# What would make the fault worse, or hide it. `propose_version` is what re-embeds.
NEVER: Mapping[Kind, tuple[Action, ...]] = {
    "model_changed": ("rebuild", "retrain", "accept_reference"),
    "contract_broken": ("rebuild", "retrain", "accept_reference"),
    "index_diverged": ("rebuild", "retrain", "accept_reference", "propose_version"),
    "rows_refused": ("accept_reference", "retrain", "propose_version", "rebuild"),
    "recall_lost": ("propose_version", "retrain", "accept_reference"),
    "index_churned": ("propose_version", "retrain"),
    "ingest_damaged": ("propose_version", "retrain", "rebuild", "accept_reference"),
    "quality_fell": ("rebuild", "accept_reference"),
    "distribution_moved": ("propose_version",),
    "slice_moved": ("propose_version", "retrain", "rebuild", "accept_reference"),
}
# Faults that explain others, in the order in which they are looked for, and the checks whose pass
# says that they are not there.
RULED_OUT_BY: Mapping[Kind, tuple[str, ...]] = {
    "model_changed": (CANARY,),
    "contract_broken": CONTRACT,
    "index_diverged": (PARITY,),
    "recall_lost": (RECALL,),
    # Told from numbers of a recall check that passes, so no check rules it out.
    "index_churned": (),
    # Any answer: one that tells of debris is diagnosed as that.
    "ingest_damaged": (DRIFT,),
    "quality_fell": (QUALITY,),
}
OF_AN_INDEX = (PARITY, RECALL)


@dataclass(frozen=True)
class Verdict:
    """The newest answer of one check.

    Attributes:
        check: Its name.
        asset: What it looked at, e.g. `lake/embeddings`.
        model_version: The partition; None for a check that is not of one model version.
        backend: Backend of an index check.
        passed: The answer; None when there is none: not run, not able to run, undecided.
        evaluation_id: Identity of the measurement: the same one never acts twice.
        run_id: Run that evaluated it.
        at: When.
        facts: Its metadata.
    """

    check: str
    asset: str
    model_version: str | None
    passed: bool | None
    backend: str | None = None
    evaluation_id: str = ""
    run_id: str = ""
    at: datetime = _LONG_AGO
    facts: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, order=True)
class Scope:
    """What a fault is a fault of. What is left empty is not part of it.

    Attributes:
        model_version: The model version.
        backend: The backend, for faults of an index.
        tenant: The tenant, for faults of one slice.
        source: The source, for faults of one slice.
        since: First day of what moved (ISO), for faults of one slice.
    """

    model_version: str
    backend: str = ""
    tenant: str = ""
    source: str = ""
    since: str = ""

    def __str__(self) -> str:
        parts = {"tenant": self.tenant, "source": self.source, "since": self.since}
        named = " ".join(f"{name} {value}" for name, value in parts.items() if value)
        return " ".join(part for part in (self.model_version, self.backend, named) if part)


@dataclass(frozen=True)
class Diagnosis:
    """One thing that is wrong, and what fits it.

    Attributes:
        kind: What is wrong.
        action: What to do about it. `await_evidence` and `watch` do nothing.
        scope: What is affected, and nothing beyond it.
        why: The evidence in words.
        evaluation_ids: Measurements that prove it.
        explains: Other failed measurements that this fault accounts for.
    """

    kind: Kind
    action: Action
    scope: Scope
    why: str
    evaluation_ids: tuple[str, ...]
    explains: tuple[str, ...] = ()

    @property
    def never(self) -> tuple[Action, ...]:
        """Actions that must not be taken for this kind of fault."""
        return NEVER[self.kind]


@dataclass(frozen=True)
class Limits:
    """Bounds of what an index may carry before it counts as churned.

    Attributes:
        deleted_share: Share of rows that are only marked as deleted.
        p95_latency_ms: Latency of queries; None for no bound.
    """

    deleted_share: float = 0.3
    p95_latency_ms: float | None = None
