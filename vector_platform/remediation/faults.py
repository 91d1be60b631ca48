"""Faults: what a verdict says, and what a diagnosis is.

Belongs here: plain values. Which faults there are, and what fits them, is in `reactions.py`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal

# Time of a verdict that does not say when it came.
_LONG_AGO = datetime.min.replace(tzinfo=UTC)

# What can be wrong, by the name of its reaction.
Kind = str
# What can be done: names of policies under `acting`, what only people do, and doing nothing.
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
    "observe",
]


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


# Part of a scope by which a storm is parted, where one run cannot answer all of it.
Apart = Literal["model_version", "backend"] | None


@dataclass(frozen=True)
class Diagnosis:
    """One thing that is wrong, and what fits it.

    Attributes:
        kind: What is wrong.
        action: What to do about it. `await_evidence` and `observe` do nothing.
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


@dataclass(frozen=True)
class Limits:
    """Bounds of what an index may carry before it counts as churned.

    Attributes:
        deleted_share: Share of rows that are only marked as deleted.
        p95_latency_ms: Latency of queries; None for no bound.
    """

    deleted_share: float = 0.3
    p95_latency_ms: float | None = None
