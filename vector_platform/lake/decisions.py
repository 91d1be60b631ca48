"""The record of decisions: append-only, one row for every time somebody or something decided.

Belongs here: writing and reading `decisions`. People, jobs and sensors write here; a release
request's state is a function of its rows (`releases/requests/policy.py`), so a vote and the record
of the vote are one commit and can never disagree.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal, get_args

import pyarrow as pa

from vector_platform.lake.contract import canonical_json, hash_text
from vector_platform.lake.lake import Lake
from vector_platform.lake.storage.conditions import Condition

# request ... reopen are about a release request; release ... keep about a generation that readers
# see; quarantine and replay about documents; recalibrate about the reference of drift; accept (and
# reject, too) about a proposed golden query; adopt about an index that was another lake's; retire
# about a model version; act and suppress are a sensor's.
What = Literal[
    "request",
    "approve",
    "reject",
    "withdraw",
    "expire",
    "override",
    "reopen",
    "release",
    "rollback",
    "return",
    "keep",
    "quarantine",
    "replay",
    "recalibrate",
    "accept",
    "adopt",
    "retire",
    "act",
    "suppress",
]

WHATS: tuple[What, ...] = get_args(What)

Clock = Callable[[], datetime]


def utc_now() -> datetime:
    """The clock of everything here that does not bring its own."""
    return datetime.now(UTC)


@dataclass(frozen=True)
class Decision:
    """One row of `decisions`.

    Attributes:
        decision_id: Hash of the rest.
        decided_at: When.
        actor: Who: a person's name, a sensor, a job.
        what: Kind of decision.
        subject: What it is about, e.g. `r-3f9a02c1` or `milvus/documents/g0003`.
        evidence: Ids of evaluations it rests on.
        before: State before, where there is one.
        after: State after.
        why: The reason in words.
        run_id: Run in which it was taken.
    """

    decision_id: str
    decided_at: datetime
    actor: str
    what: What
    subject: str
    evidence: tuple[str, ...]
    before: str | None
    after: str | None
    why: str
    run_id: str

    def facts(self) -> dict[str, Any]:
        """The row for machines."""
        return {
            **vars(self),
            "decided_at": self.decided_at.isoformat(),
            "evidence": list(self.evidence),
        }


class Decisions:
    """Reads and appends decisions.

    Args:
        lake: Where they are.
        run_id: Recorded with each.
        clock: When it is.
    """

    def __init__(self, lake: Lake, *, run_id: str, clock: Clock = utc_now) -> None:
        self._table = lake.decisions
        self._run_id = run_id
        self._clock = clock

    def record(
        self,
        what: What,
        subject: str,
        *,
        actor: str,
        why: str,
        evidence: Sequence[str] = (),
        before: str | None = None,
        after: str | None = None,
    ) -> Decision:
        """Append one decision."""
        now = self._clock()
        row: dict[str, Any] = {
            "decided_at": now,
            "actor": actor,
            "what": what,
            "subject": subject,
            "evidence": tuple(evidence),
            "before": before,
            "after": after,
            "why": why,
            "run_id": self._run_id,
        }
        identity = {**row, "decided_at": now.isoformat(), "evidence": list(evidence)}
        decision = Decision(decision_id=hash_text(canonical_json(identity)), **row)
        rows = pa.Table.from_pylist([vars(decision)], schema=self._table.spec.schema)
        self._table.append(rows, {"run_id": self._run_id, "what": f"{what} {subject}"})
        return decision

    def about(
        self, *subjects: str, what: str | None = None, actor: str | None = None
    ) -> list[Decision]:
        """Decisions about these subjects, or all of them; oldest first.

        Args:
            subjects: Exact ones.
            what: Only of this kind.
            actor: Only by this one.
        """
        where: list[Condition] = [("subject", "in", list(subjects))] if subjects else []
        if what is not None:
            where.append(("what", "==", what))
        if actor is not None:
            where.append(("actor", "==", actor))
        rows = self._table.read(where=where).to_pylist()
        found = [Decision(**{**row, "evidence": tuple(row["evidence"])}) for row in rows]
        return sorted(found, key=lambda each: (each.decided_at, each.decision_id))
